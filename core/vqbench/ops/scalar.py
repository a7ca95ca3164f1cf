"""Search in a codebook of scalars: exact by sorting and bisection, O(log K) a token."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["argmin_scalar"]

CHUNK = 1 << 18


def argmin_scalar(means: Tensor, precisions: Tensor, codebook: Tensor, beta: float) -> Tensor:
    """Index of the smallest ``(c_k - mean)² · precision - beta · c_k²``, the lowest one on ties: int64 ``(N,)``.

    The score is a parabola in c. One that opens upwards is smallest at a codeword beside its vertex, any other at the
    smallest or largest codeword; these four and codeword 0 (which wins where all are equal) are compared in float64.

    Args:
        means: ``(N,)`` float64.
        precisions: ``(N,)`` float64, one over the variance.
        codebook: ``(K,)`` float64.
        beta: weight of the prior's term.
    """
    values, order = torch.sort(codebook, stable=True)
    order = order[torch.searchsorted(values, values)]  # equal codewords go to the lowest index
    nearest = [
        _bisect(mean, precision, codebook, values, order, beta)
        for mean, precision in zip(torch.split(means, CHUNK), torch.split(precisions, CHUNK), strict=True)
    ]
    return torch.cat(nearest)


def _bisect(means: Tensor, precisions: Tensor, codebook: Tensor, values: Tensor, order: Tensor, beta: float) -> Tensor:
    curvature = precisions - beta
    vertex = torch.where(curvature > 0, means * precisions / curvature, 0.0)
    above = torch.searchsorted(values, vertex).clamp(max=len(values) - 1)
    candidates = torch.stack(
        [
            order[above],
            order[(above - 1).clamp(min=0)],
            order[0].expand_as(above),
            order[-1].expand_as(above),
            torch.zeros_like(above),
        ],
        dim=1,
    )  # (N, 5)
    words = codebook[candidates]
    scores = (words - means[:, None]) ** 2 * precisions[:, None] - beta * words**2
    winners = scores == scores.amin(dim=1, keepdim=True)
    lowest = torch.where(winners, candidates, len(values)).amin(dim=1)
    return torch.where(lowest < len(values), lowest, 0)  # no winner: the row holds NaN
