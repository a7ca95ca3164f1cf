"""s²: the variance of stochastic quantization, which anneals itself as training goes on."""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

__all__ = ["QuantizationVariance", "VarianceForm", "VarianceType"]

VarianceType: TypeAlias = Literal["I", "II", "III", "IV"]
VarianceForm: TypeAlias = Literal["sum", "product"]

_AVERAGED = {"II": (1, 2, 3), "III": (1,), "IV": ()}
SMALLEST = 1e-10


class QuantizationVariance(nn.Module):
    """The variances s² of T layers, each with a trained scalar a, clamped to at least 1e-10.

    Type I is one number for everything. The others read h, a map that the encoder makes, averaged over channels and
    positions (II: one s² per image), over channels (III: per position) or not at all (IV: per position and channel).

    Args:
        layers: T.
        kind: the type, I to IV.
        form: ``sum``: exp(h) + exp(a), with h = 0, so 1 + exp(a), for type I (image part of sony/sqvae). ``product``:
            exp(h + a), so exp(a) for type I (its speech part; HQ-VAE).
        init: exp(a) before training.
    """

    def __init__(self, layers: int, kind: VarianceType, form: VarianceForm, init: float) -> None:
        super().__init__()
        self.kind, self.form = kind, form
        self.log_scale = nn.Parameter(torch.full((layers,), math.log(init)))

    def forward(self, log_variances: Tensor | None) -> tuple[Tensor, ...]:
        """s² of each layer, ``(B or 1, d or 1, h or 1, w or 1)``.

        Args:
            log_variances: h, ``(B, d, h, w)``; None for type I.
        """
        if self.kind == "I":
            head = self.log_scale.new_zeros(1, 1, 1, 1)
        else:
            assert log_variances is not None
            axes = _AVERAGED[self.kind]
            head = log_variances.mean(dim=axes, keepdim=True) if axes else log_variances
        if self.form == "sum":
            return tuple((head.exp() + a.exp()).clamp(min=SMALLEST) for a in self.log_scale)
        return tuple((head + a).exp().clamp(min=SMALLEST) for a in self.log_scale)
