"""Entropies of soft binary codes: per sample in closed form, of the codebook by groups of bits, never over 2^d at once.

The soft code of a position is a product of Bernoulli bits with logits a, ``p(c | a) = Π_i sigmoid(±a_i)``: the softmax of
``2 τ z·c`` over the sign vectors c in {-s, s}^d is that product with ``a = 4 τ s z``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint

from vqbench.ops.precision import true_float32
from vqbench_plugins.quantizers.distributed import mean_over_processes

__all__ = ["CodeEntropy", "EntropyReduction", "LogGuard", "mean_code_probabilities"]

EntropyReduction: TypeAlias = Literal["sum", "mean", "pooled"]
LogGuard: TypeAlias = Literal["none", "clamp-1e-5", "add-1e-5", "add-1e-8", "codebook-add-1e-5"]

BLOCK = 1 << 18
"""Probabilities held at a time: 1 MB."""
ADDED = {"add-1e-5": 1e-5, "codebook-add-1e-5": 1e-5, "add-1e-8": 1e-8}
TINY = torch.finfo(torch.float32).tiny


@dataclass(frozen=True, kw_only=True)
class CodeEntropy:
    """The two entropies, in nats, of N soft codes of d bits, which form d/g groups of g consecutive bits.

    Attributes:
        group: g. With g = d the codebook entropy is the joint one. Smaller groups bound it from above (entropy is
            subadditive), and lose sight of dependence between groups.
        reduction: of the groups. ``sum``: the joint's approximation. ``mean``: each group a codebook of its own, and
            the entropies averaged. ``pooled``: the mean code, too, is averaged over the groups, which then cannot
            tell one group's imbalance from another's opposite one.
        guard: of the logarithm. ``none`` is exact; the others are those of published codes, which report less entropy
            than there is and, ``clamp`` entirely, take the gradient from codes of less than the guard's probability.
            ``clamp-1e-5`` is ``log max(p, 1e-5)`` (lucidrains, MaskBit), ``add-1e-8`` ``log(p + 1e-8)`` (bsq-vit),
            ``add-1e-5`` likewise (the GQ authors' BSQ), and ``codebook-add-1e-5`` likewise but of the codebook entropy
            alone (Open-MAGVIT2, the GQ authors' LFQ).
    """

    group: int
    reduction: EntropyReduction = "sum"
    guard: LogGuard = "none"

    def sample(self, logits: Tensor) -> Tensor:
        """Mean over positions of the entropy of their soft codes, of logits ``(N, d)``.

        Without a guard it is the sum of the bits' entropies, exactly: O(d) a position.
        """
        groups = logits.shape[1] // self.group
        if self.guard in ("none", "codebook-add-1e-5"):
            size = logits.abs()
            of_bits = torch.log1p(torch.exp(-size)) + size * torch.sigmoid(-size)
            total = of_bits.sum(dim=1).mean()
        else:
            rows = max(BLOCK // (groups << self.group), 1)
            parts = [checkpoint(self._guarded_sum, part, use_reentrant=False) for part in torch.split(logits, rows)]
            total = torch.stack(parts).sum() / len(logits)
        return total if self.reduction == "sum" else total / groups

    def codebook(self, logits: Tensor) -> Tensor:
        """Entropy of the soft code averaged over positions (of all processes, before the logarithm), of ``(N, d)``."""
        entropy: Tensor = _MeanCodeEntropy.apply(*_halves(logits, self.group), self.reduction, self.guard)
        return entropy

    def _guarded_sum(self, logits: Tensor) -> Tensor:
        probability = _log_probabilities(_grouped(logits, self.group)).exp()
        return (probability * _information(probability, self.guard)).sum()


def mean_code_probabilities(logits: Tensor, group: int) -> Tensor:
    """The soft code averaged over positions: ``(d/g, 2^g)``, a group's first bit the most significant; for small g."""
    high, low = _halves(logits, group)
    return torch.cat([block for _, block in _blocks(high, low)], dim=1).flatten(1)


class _MeanCodeEntropy(torch.autograd.Function):
    """Entropy of ``p̄ = highᵀ low / N``: the halves' outer products, averaged.

    A block of p̄ lives at a time, and the backward pass makes it again: of what has 2^g entries, nothing is kept.
    Underflow is harmless: a code whose probability is below float32's range weighs nothing in value or gradient.
    """

    @staticmethod
    def forward(ctx: Any, high: Tensor, low: Tensor, reduction: EntropyReduction, guard: LogGuard) -> Tensor:
        ctx.save_for_backward(high, low)
        ctx.reduction, ctx.guard = reduction, guard
        entropy = high.new_zeros(())
        for _, block in _blocks(high, low):
            mean = _reduced(block, reduction)
            entropy += (mean * _information(mean, guard)).sum()
        return entropy / len(high) if reduction == "mean" else entropy

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:
        high, low = ctx.saved_tensors
        groups, positions, _ = high.shape
        share = gradient / positions / (1 if ctx.reduction == "sum" else groups)
        of_high, of_low = torch.empty_like(high), torch.zeros_like(low)
        for rows, block in _blocks(high, low):
            slope = _slope(_reduced(block, ctx.reduction), ctx.guard).expand_as(block) * share
            with true_float32(high.device):
                of_high[:, :, rows] = low @ slope.transpose(1, 2)
                of_low += high[:, :, rows] @ slope
        return of_high, of_low, None, None


def _grouped(logits: Tensor, group: int) -> Tensor:
    """Logits ``(d/g, N, g)`` of logits ``(N, d)``."""
    return logits.reshape(len(logits), -1, group).transpose(0, 1)


def _halves(logits: Tensor, group: int) -> tuple[Tensor, Tensor]:
    """Probabilities of the first and of the last half of each group's bits: ``(d/g, N, 2^⌈g/2⌉)``, ``(…, 2^⌊g/2⌋)``."""
    grouped = _grouped(logits, group)
    first = (group + 1) // 2
    return _log_probabilities(grouped[..., :first]).exp(), _log_probabilities(grouped[..., first:]).exp()


def _log_probabilities(logits: Tensor) -> Tensor:
    """Log probabilities ``(…, 2^n)`` of all codes of n bits with logits ``(…, n)``, the first most significant."""
    table = logits.new_zeros(*logits.shape[:-1], 1)
    for bit in logits.unbind(dim=-1):
        choice = torch.stack([F.logsigmoid(-bit), F.logsigmoid(bit)], dim=-1)
        table = (table[..., :, None] + choice[..., None, :]).flatten(-2)
    return table


def _blocks(high: Tensor, low: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Rows of the first half's codes, and p̄ of theirs: ``(d/g, rows, 2^⌊g/2⌋)``."""
    groups, positions, columns = low.shape
    height = max(BLOCK // (groups * columns), 1)
    for start in range(0, high.shape[2], height):
        rows = slice(start, start + height)
        with true_float32(high.device):
            block = high[:, :, rows].transpose(1, 2) @ low
        yield rows, mean_over_processes(block / positions)


def _reduced(block: Tensor, reduction: EntropyReduction) -> Tensor:
    return block.mean(dim=0, keepdim=True) if reduction == "pooled" else block


def _information(probability: Tensor, guard: LogGuard) -> Tensor:
    """``-log p``, guarded; at the smallest normal number where p is below it."""
    if guard == "clamp-1e-5":
        return -probability.clamp(min=1e-5).log()
    if guard == "none":
        return -probability.clamp(min=TINY).log()
    return -(probability + ADDED[guard]).log()


def _slope(probability: Tensor, guard: LogGuard) -> Tensor:
    """Derivative of ``-p log p``, guarded, up to a constant, which the derivative of a sum of probabilities cancels."""
    information = _information(probability, guard)
    if guard == "none":
        return information
    if guard == "clamp-1e-5":
        return information - (probability > 1e-5).float()
    return information - probability / (probability + ADDED[guard])
