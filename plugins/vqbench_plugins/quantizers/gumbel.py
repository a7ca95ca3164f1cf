"""Gumbel-softmax: the noise that makes a softmax a relaxed sample, and the temperature it is sharpened with."""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

import torch
from torch import Tensor

__all__ = ["GumbelForm", "gumbel_noise", "temperature_at"]

GumbelForm: TypeAlias = Literal["guarded", "clamped"]


def gumbel_noise(uniform: Tensor, form: GumbelForm = "guarded") -> Tensor:
    """Standard Gumbel noise of uniform numbers in [0, 1), float32, of any shape; always finite.

    ``guarded``: G = -ln(-ln(U + 1e-10) + 1e-10), between -3.14 and 16.6; half precision would give infinity.
    ``clamped``: G = -ln(-ln U) with U clamped to [eps, 1 - eps] of float32.

    Source: the image part (guarded) and the speech part (clamped) of sony/sqvae@dc88ab1.
    """
    if form == "guarded":
        return -torch.log(-torch.log(uniform + 1e-10) + 1e-10)
    eps = torch.finfo(torch.float32).eps
    return -torch.log(-torch.log(uniform.clamp(eps, 1 - eps)))


def temperature_at(step: int, *, start: float, rate: float, minimum: float) -> float:
    """tau = max(start·exp(-rate·step), minimum) at an optimiser step, 1 the first (sony/sqvae@dc88ab1)."""
    return max(start * math.exp(-rate * step), minimum)
