"""First pass of a search on NVIDIA devices: one fused kernel for all scores of a block of rows."""

from __future__ import annotations

import warnings
from functools import cache

import torch
from torch import Tensor

from vqbench.ops import fused, tiled
from vqbench.ops.affine import OPERAND_ERROR, AffineSearch, undecided

__all__ = ["first_pass"]

BLOCK_NUMBERS = 1 << 23  # of the rows made at a time: 32 MB
LEAST, MOST = 2.0**-110, 2.0**60  # magnitudes for which the kernel's bound on its error holds


def first_pass(search: AffineSearch) -> tuple[Tensor, Tensor]:
    """Each row's codeword ``(N,)`` int64, and the rows ``(P,)`` int64 where rounding leaves the choice open."""
    reason = fused.why_unavailable(search.device)
    if reason is not None:
        _say_once(reason)
        return tiled.first_pass(search)
    if not LEAST < search.longest < MOST or search.largest_bias > MOST:
        return tiled.first_pass(search)
    codes, bias = search.codes(slice(0, search.size))
    error = fused.error_bound(search.width) + OPERAND_ERROR
    nearest = torch.empty(search.number, dtype=torch.int64, device=search.device)
    is_open = torch.empty(search.number, dtype=torch.bool, device=search.device)
    height = max(BLOCK_NUMBERS // search.width, 1)
    for start in range(0, search.number, height):
        here = slice(start, min(start + height, search.number))
        rows = search.rows(here)
        best, runner_up, nearest[here] = fused.two_smallest(rows, codes, bias)
        magnitude = rows.abs().amax(dim=1)
        outside = (magnitude > MOST) | ((magnitude > 0) & (magnitude < LEAST))
        is_open[here] = undecided(runner_up - best, search.reach(rows), error) | (outside & magnitude.isfinite())
    return nearest, is_open.nonzero().squeeze(1)


@cache
def _say_once(reason: str) -> None:
    warnings.warn(f"Code search runs without its fused kernel, some times slower: {reason}.", stacklevel=2)
