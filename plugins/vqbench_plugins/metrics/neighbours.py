"""Balls of nearest neighbours, and what the fraction of points inside them owes to each image."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["covering_influences"]

ROWS = 2000
"""Of distances that are in memory at once: 400 MB for 50,000 images."""


def covering_influences(centres: Tensor, points: Tensor, *, neighbourhood: int) -> Tensor:
    """The influence of each image on the fraction of points that lie in a ball: float64 ``(N,)`` on the CPU, of sum zero.

    A ball reaches from a centre to the ``neighbourhood``-th nearest of the other centres. The influence is that of the
    delete-one jackknife. Without an image its own point is not counted, points that lay in its ball alone are lost, and
    the balls of the centres that it was a near neighbour of reach one neighbour farther.

    Args:
        centres, points: features of the same N images, ``(N, D)`` each; N at least ``neighbourhood`` + 2.
        neighbourhood: k.

    Source: Efron & Stein, The Jackknife Estimate of Variance (1981): on average it is no less than the variance, however
    unsmooth the number.
    """
    count = len(centres)
    nearest, radii, wider = _balls(centres, neighbourhood)
    influences = torch.zeros(count, dtype=torch.float64, device=centres.device)
    for start in range(0, count, ROWS):
        distances = torch.cdist(points[start : start + ROWS], centres)
        image = torch.arange(start, start + len(distances), device=centres.device)
        inside = distances <= radii
        balls = inside.sum(1)
        influences[image] += (balls > 0).double()

        # (point, image) such that the point lies in a ball that grows once the image is left out.
        row, ball = ((distances <= wider) & ~inside & (balls <= 1)[:, None]).nonzero(as_tuple=True)
        reached = torch.unique(row[:, None] * count + nearest[ball])
        row, without = reached // count, reached % count
        won = (balls[row] == 0) & (image[row] != without)
        influences -= without[won].bincount(minlength=count)

        alone = (balls == 1).nonzero()[:, 0]
        only = inside[alone].int().argmax(1)
        lost = (only != image[alone]) & ~torch.isin(alone * count + only, reached)
        influences += only[lost].bincount(minlength=count)
    return (influences - influences.mean()).cpu()


def _balls(centres: Tensor, neighbourhood: int) -> tuple[Tensor, Tensor, Tensor]:
    """Indices ``(N, k)`` of the k nearest other centres, distance of the k-th and of the one after it, ``(N,)`` each."""
    found = []
    for start in range(0, len(centres), ROWS):
        distances = torch.cdist(centres[start : start + ROWS], centres)
        own = torch.arange(len(distances), device=centres.device)
        distances[own, start + own] = -1  # first of its row, whatever rounding says
        found.append(distances.topk(neighbourhood + 2, largest=False))
    distance, index = (torch.cat(parts) for parts in zip(*found, strict=True))
    return index[:, 1:-1], distance[:, -2], distance[:, -1]
