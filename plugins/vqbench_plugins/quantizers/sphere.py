"""Vectors scaled to length 1."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from vqbench_plugins.quantizers.fusion import fused

__all__ = ["on_sphere"]

SHORTEST = 1e-12
"""Length under which vectors are divided by this number instead."""


def on_sphere(vectors: Tensor, dim: int) -> Tensor:
    """``v/|v|`` along an axis, as ``torch.nn.functional.normalize``, many times faster where the axis is not the last.

    Torch takes norms along such an axis number by number; here every pass runs along memory.
    """
    unit: Tensor = _OnSphere.apply(vectors, dim)
    return unit


class _OnSphere(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, vectors: Tensor, dim: int) -> Tensor:
        unit, length = _unit(vectors.detach(), dim)
        ctx.save_for_backward(unit, length)
        ctx.dim = dim
        return unit

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        unit, length = (kept.detach() for kept in ctx.saved_tensors)
        return _tangent(unit, length, gradient, ctx.dim), None


@fused
def _unit(vectors: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    length = vectors.square().sum(dim=dim, keepdim=True).sqrt_().clamp_(min=SHORTEST)
    return vectors / length, length


@fused
def _tangent(unit: Tensor, length: Tensor, gradient: Tensor, dim: int) -> Tensor:
    """The part of the gradient along the sphere."""
    outward = (unit * gradient).sum(dim=dim, keepdim=True).masked_fill_(length == SHORTEST, 0.0)
    return torch.addcmul(gradient, unit, outward, value=-1).div_(length)
