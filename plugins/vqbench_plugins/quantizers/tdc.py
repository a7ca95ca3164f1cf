"""TDC: the target divergence constraint, which pulls each token's divergence to a number of bits (arXiv 2512.06609)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

__all__ = ["NATS_TO_BITS", "TDC", "TDC_RULES", "TDCRule"]

NATS_TO_BITS = 1.4426
"""log2(e) as the released code has it, four digits after the point."""


@dataclass(frozen=True, kw_only=True)
class TDCRule:
    """One published form of the constraint.

    Attributes:
        reduction: of the weighted token divergences: sum over tokens and mean over images, or mean over all tokens.
        maximum_falls: whether the multiplier of tokens above the band comes down again once none is above it.
        lowest: smallest multiplier of tokens below the band.  highest: largest multiplier of tokens above it.
    """

    reduction: Literal["image_sum", "token_mean"] = "image_sum"
    maximum_falls: bool = True
    lowest: float = 1e-3
    highest: float = 1e3


TDC_RULES = {"tdc": TDCRule(), "tdc-astrained": TDCRule(maximum_falls=False)}
"""Variants by name: ``tdc`` as corrected in January 2026, ``tdc-astrained`` as the released models were trained."""


class TDC(nn.Module):
    """Adaptive weights on token divergences, in bits.

    A token more than ``tolerance`` above the target is weighted with ``lam_max``, one as far below with ``lam_min``,
    one inside (the band is closed) with 1; everything with ``lam``. After the loss each multiplier takes one step of
    ``factor``: ``lam`` by whether the mean is above the target (it is never clamped), ``lam_max`` and ``lam_min`` by
    whether any token is outside. All start at 1 and live in float64 buffers.

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

    def forward(self, bits: Tensor) -> Tensor:
        """The loss, in bits, of token divergences ``(B, …)``; in training mode the multipliers then take their step."""
        high, low = self.target_bits + self.tolerance, self.target_bits - self.tolerance
        one = torch.ones((), dtype=torch.float64, device=bits.device)
        weights = torch.where(bits > high, self.lam_max, torch.where(bits < low, self.lam_min, one)).to(bits.dtype)
        weighted = weights * bits
        loss = weighted.sum() / len(bits) if self.rule.reduction == "image_sum" else weighted.mean()
        loss = self.lam.to(bits.dtype) * loss
        if self.training:
            self._step(bits.detach())
        return loss

    @torch.no_grad()
    def _step(self, bits: Tensor) -> None:
        up = self.factor
        self.lam.mul_(_choose(bits.mean() > self.target_bits, up, 1 / up))
        above = bits.max() > self.target_bits + self.tolerance
        self.lam_max.mul_(_choose(above, up, 1 / up if self.rule.maximum_falls else 1.0)).clamp_(1.0, self.rule.highest)
        below = bits.min() < self.target_bits - self.tolerance
        self.lam_min.mul_(_choose(below, 1 / up, up)).clamp_(self.rule.lowest, 1.0)


def _choose(condition: Tensor, yes: float, no: float) -> Tensor:
    """``yes`` or ``no`` as a float64 scalar, decided on the device."""
    return torch.where(condition, torch.full_like(condition, yes, dtype=torch.float64), no)
