"""TDC: the target divergence constraint, which pulls each token's divergence to a number of bits (arXiv 2512.06609)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from vqbench_plugins.quantizers.distributed import max_over_processes, sum_over_processes

__all__ = ["NATS_TO_BITS", "TDC", "TDC_RULES", "BitsSpread", "TDCRule", "TargetWeights"]

NATS_TO_BITS = 1.4426
"""log2(e) as the released code has it, four digits after the point."""


@dataclass(frozen=True, kw_only=True)
class TDCRule:
    """One published form of the constraint.

    Attributes:
        reduction: of the weighted token divergences: sum over tokens and mean over images, or mean over all tokens.
        maximum_falls: whether the multiplier of tokens above the band comes down again once none is above it.
        common_applies: whether the loss is multiplied with the common multiplier, or that one is only kept.
        lowest: smallest multiplier of tokens below the band.  highest: largest multiplier of tokens above it.
    """

    reduction: Literal["image_sum", "token_mean"] = "image_sum"
    maximum_falls: bool = True
    common_applies: bool = True
    lowest: float = 1e-3
    highest: float = 1e3


TDC_RULES = {
    "tdc": TDCRule(),
    "tdc-astrained": TDCRule(maximum_falls=False),
    "tdc-nolam": TDCRule(maximum_falls=False, common_applies=False),
    "tdc-gq2": TDCRule(reduction="token_mean", maximum_falls=False, lowest=1e-7, highest=1e7),
}
"""Adaptive variants by name: ``tdc`` as corrected in January 2026, ``tdc-astrained`` as the released models were trained,
``tdc-nolam`` as of December 2025, ``tdc-gq2`` of the straight-through class (whose groups are contiguous)."""


@dataclass(frozen=True, kw_only=True)
class BitsSpread:
    """Mean, least and largest token divergence of a whole batch in bits: detached scalars, equal on all processes."""

    mean: Tensor
    least: Tensor
    largest: Tensor

    @classmethod
    def of(cls, bits: Tensor) -> BitsSpread:
        """Of this process's token divergences, of any shape; processes may hold different numbers of tokens."""
        bits = bits.detach()
        total = bits.sum(dtype=torch.float64)
        total, count = sum_over_processes(torch.stack([total, torch.full_like(total, bits.numel())]))
        minus_least, largest = max_over_processes(torch.stack([-bits.min(), bits.max()]))
        return cls(mean=(total / count).to(bits.dtype), least=-minus_least, largest=largest)


class TDC(nn.Module):
    """Adaptive weights on token divergences, in bits.

    A token more than ``tolerance`` above the target is weighted with ``lam_max``, one as far below with ``lam_min``,
    one inside (the band is closed) with 1; everything with ``lam``. After the loss each multiplier takes one step of
    ``factor``: ``lam`` by whether the mean is above the target (it is never clamped), ``lam_max`` and ``lam_min`` by
    whether any token is outside. All start at 1 and live in float64 buffers. The tokens that decide on a step are those
    of all processes, so that all keep the same multipliers.

    Args:
        target_bits: divergence that every token is pulled to.
        tolerance: half width of the band in bits.
        rule: which published form.
    """

    lam: Tensor
    lam_min: Tensor
    lam_max: Tensor

    def __init__(self, target_bits: float, tolerance: float = 0.5, rule: TDCRule = TDC_RULES["tdc"]) -> None:
        super().__init__()
        self.target_bits, self.tolerance, self.rule = target_bits, tolerance, rule
        self.factor = 1.01
        for name in ("lam", "lam_min", "lam_max"):
            self.register_buffer(name, torch.ones((), dtype=torch.float64))

    def forward(self, bits: Tensor, spread: BitsSpread | None = None) -> Tensor:
        """The loss, in bits, of token divergences ``(B, …)``; in training mode the multipliers then take their step.

        ``spread`` is that of ``bits``, for a caller that has it already.
        """
        one = torch.ones((), dtype=torch.float64, device=bits.device)
        weights = _by_band(bits, self.target_bits, self.tolerance, self.lam_max, one, self.lam_min)
        weighted = weights.to(bits.dtype) * bits
        loss = weighted.sum() / len(bits) if self.rule.reduction == "image_sum" else weighted.mean()
        if self.rule.common_applies:
            loss = self.lam.to(bits.dtype) * loss
        if self.training:
            self._step(BitsSpread.of(bits) if spread is None else spread)
        return loss

    @torch.no_grad()
    def _step(self, spread: BitsSpread) -> None:
        up = self.factor
        self.lam.mul_(_choose(spread.mean > self.target_bits, up, 1 / up))
        above = spread.largest > self.target_bits + self.tolerance
        self.lam_max.mul_(_choose(above, up, 1 / up if self.rule.maximum_falls else 1.0)).clamp_(1.0, self.rule.highest)
        below = spread.least < self.target_bits - self.tolerance
        self.lam_min.mul_(_choose(below, 1 / up, up)).clamp_(self.rule.lowest, 1.0)


class TargetWeights(nn.Module):
    """The older form with fixed weights: 40 above the band, 1 inside, 1/40 below; in nats, nothing adapts.

    It trained the published ViT models of 0.5 and 1 bit per pixel, with a target of 11.08 nats and a tolerance of 0.35.

    Args:
        target_bits: divergence that every token is pulled to.
        tolerance: half width of the band in bits.
    """

    def __init__(self, target_bits: float, tolerance: float = 0.5) -> None:
        super().__init__()
        self.target_bits, self.tolerance, self.outside = target_bits, tolerance, 40.0

    def forward(self, bits: Tensor, spread: BitsSpread | None = None) -> Tensor:
        """The loss of token divergences ``(B, …)`` given in bits: nats, summed over tokens, mean over images."""
        one = torch.ones((), dtype=bits.dtype, device=bits.device)
        weights = _by_band(bits, self.target_bits, self.tolerance, self.outside * one, one, one / self.outside)
        return (weights * bits).sum() / len(bits) / NATS_TO_BITS


def _by_band(bits: Tensor, target: float, tolerance: float, above: Tensor, inside: Tensor, below: Tensor) -> Tensor:
    """One of three scalars for each token, by where it lies; the band is closed."""
    return torch.where(bits > target + tolerance, above, torch.where(bits < target - tolerance, below, inside))


def _choose(condition: Tensor, yes: float, no: float) -> Tensor:
    """``yes`` or ``no`` as a float64 scalar, decided on the device."""
    return torch.where(condition, torch.full_like(condition, yes, dtype=torch.float64), no)
