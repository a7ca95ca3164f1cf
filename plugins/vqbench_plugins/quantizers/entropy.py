"""Entropies of soft binary codes: per sample in closed form, of the codebook by groups of bits, never over 2^d at once.

The soft code of a position is a product of Bernoulli bits with logits a, ``p(c | a) = Π_i sigmoid(±a_i)``: the softmax of
``2 τ z·c`` over the sign vectors c in {-s, s}^d is that product with ``a = 4 τ s z``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from vqbench.ops.precision import true_float32
from vqbench_plugins.quantizers.distributed import mean_over_processes
from vqbench_plugins.quantizers.fusion import fused
from vqbench_plugins.quantizers.soft_codes import bit_gradient, bit_probabilities, code_probabilities

__all__ = ["CodeEntropy", "EntropyReduction", "LogGuard", "mean_code_probabilities"]

EntropyReduction: TypeAlias = Literal["sum", "mean", "pooled"]
LogGuard: TypeAlias = Literal["none", "clamp-1e-5", "add-1e-5", "add-1e-8", "codebook-add-1e-5"]

BLOCK = {"cpu": 1 << 18, "cuda": 1 << 25}
"""Probabilities held at a time: 1 MB, which a core's cache holds; on a GPU 128 MB, which keep all of it busy."""
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
        grouped = _grouped(logits, self.group)
        exact = self.guard in ("none", "codebook-add-1e-5")
        total: Tensor = _BitEntropy.apply(grouped) if exact else _GuardedEntropy.apply(grouped, self.guard)
        return total / (len(logits) if self.reduction == "sum" else len(logits) * len(grouped))

    def codebook(self, logits: Tensor) -> Tensor:
        """Entropy of the soft code averaged over positions (of all processes, before the logarithm), of ``(N, d)``."""
        entropy: Tensor = _MeanCodeEntropy.apply(_grouped(logits, self.group), self.reduction, self.guard)
        return entropy


def mean_code_probabilities(logits: Tensor, group: int) -> Tensor:
    """The soft code averaged over positions and processes: ``(d/g, 2^g)``, a group's first bit the most significant."""
    return torch.flatten(_mean_code(_grouped(logits, group)), 1)


class _BitEntropy(torch.autograd.Function):
    """Sum of the entropies of all bits. The one tensor kept is the derivative, ``-a σ(a) σ(-a)``."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor) -> Tensor:
        derivatives, entropy = torch.empty_like(logits), logits.new_zeros(())
        for part, derivative in zip(_cached(logits.detach()), _cached(derivatives), strict=True):
            of_bits, slope = _bit_entropies(part)
            entropy += of_bits
            derivative.copy_(slope)
        ctx.save_for_backward(derivatives)
        return entropy

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (derivatives,) = ctx.saved_tensors
        of_logits: Tensor = derivatives * gradient
        return of_logits


@fused
def _bit_entropies(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Sum of the entropies of bits, and its derivative with respect to each of their logits."""
    size = logits.abs().clamp_(max=80)  # beyond, odds are subnormal numbers, which processors are slow at
    odds = torch.exp(-size)  # of the less likely value
    total = odds + 1
    rare = odds / total
    entropy = torch.log1p(odds).sum() + (size * rare).sum()
    return entropy, logits * rare.div_(total).neg_()


class _GuardedEntropy(torch.autograd.Function):
    """Sum of ``-p log p``, guarded, over the codes of all groups and positions; a block of them lives at a time."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, guard: LogGuard) -> Tensor:
        ctx.save_for_backward(logits)
        ctx.guard = guard
        entropy = logits.new_zeros(())
        for _, of_bits in _parts(logits, 1 << logits.shape[1]):
            probability = code_probabilities(of_bits)
            entropy += (probability * _information(probability, guard)).sum()
        return entropy

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (logits,) = ctx.saved_tensors
        of_logits = torch.empty_like(logits)
        for part, of_bits in _parts(logits, 1 << logits.shape[1]):
            probability = code_probabilities(of_bits)
            with true_float32(logits.device):
                of_logits[:, :, part] = bit_gradient(probability * _slope(probability, ctx.guard), of_bits)
        return of_logits * gradient, None


class _MeanCodeEntropy(torch.autograd.Function):
    """Entropy of the mean code. Kept for the gradient is ``-log p̄``, of the size of one code; tables are made again.

    Underflow is harmless: a code whose probability is below float32's range weighs nothing in value or gradient.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, reduction: EntropyReduction, guard: LogGuard) -> Tensor:
        mean = _mean_code(logits)
        if reduction == "pooled":
            mean = mean.mean(dim=0, keepdim=True)
        ctx.save_for_backward(logits, _slope(mean, guard))
        ctx.groups = 1 if reduction == "sum" else len(logits)
        entropy = (mean * _information(mean, guard)).sum()
        return entropy / len(mean) if reduction == "mean" else entropy

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        logits, slope = ctx.saved_tensors
        groups, bits, positions = logits.shape
        slope = (slope * (gradient / positions / ctx.groups)).expand(groups, -1, -1)
        of_logits = torch.empty_like(logits)
        first = (bits + 1) // 2
        for part, of_bits in _parts(logits, _columns(bits)):
            of_high, of_low = of_bits[:, :first], of_bits[:, first:]
            high, low = code_probabilities(of_high), code_probabilities(of_low)
            with true_float32(logits.device):
                of_logits[:, :first, part] = bit_gradient((slope @ low).mul_(high), of_high)
                if first < bits:
                    of_logits[:, first:, part] = bit_gradient((slope.transpose(1, 2) @ high).mul_(low), of_low)
        return of_logits, None, None


def _mean_code(logits: Tensor) -> Tensor:
    """p̄ of logits ``(d/g, g, N)``: ``(d/g, 2^⌈g/2⌉, 2^⌊g/2⌋)``, the outer products of the codes of the halves, averaged."""
    groups, bits, positions = logits.shape
    first = (bits + 1) // 2
    mean = logits.new_zeros(groups, 1 << first, 1 << bits - first)
    for _, of_bits in _parts(logits, _columns(bits)):
        high, low = code_probabilities(of_bits[:, :first]), code_probabilities(of_bits[:, first:])
        with true_float32(logits.device):
            mean.baddbmm_(high, low.transpose(1, 2))
    return mean_over_processes(mean / positions)


def _grouped(logits: Tensor, group: int) -> Tensor:
    """Logits ``(d/g, g, N)`` of logits ``(N, d)``."""
    return torch.unflatten(logits.T, 0, (-1, group)).contiguous()


def _cached(numbers: Tensor) -> tuple[Tensor, ...]:
    """Parts of a contiguous tensor, flat, of which a few at a time fit a core's cache."""
    return torch.split(numbers.view(-1), _block(numbers) // 8)


def _block(tensor: Tensor) -> int:
    return BLOCK.get(tensor.device.type, BLOCK["cpu"])


def _columns(bits: int) -> int:
    """Probabilities of a position in the tables of both halves of a group."""
    return (1 << (bits + 1) // 2) + (1 << bits // 2)


def _parts(logits: Tensor, columns: int) -> Iterator[tuple[slice, Tensor]]:
    """Slices of the positions and :func:`bit_probabilities` of theirs, where a group has so many ``columns`` a position."""
    groups, _, positions = logits.shape
    width = max(_block(logits) // (groups * columns), 1)
    for start in range(0, positions, width):
        part = slice(start, start + width)
        yield part, bit_probabilities(logits[:, :, part])


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
