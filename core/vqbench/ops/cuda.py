"""First pass of a search on NVIDIA devices: one fused kernel for all scores."""

from __future__ import annotations

import warnings
from functools import cache

from torch import Tensor

from vqbench.ops import fused, tiled
from vqbench.ops.affine import OPERAND_ERROR, AffineSearch, undecided

__all__ = ["first_pass"]

LEAST, MOST = 2.0**-110, 2.0**60  # magnitudes for which the kernel's bound on its error holds


def first_pass(search: AffineSearch) -> tuple[Tensor, Tensor]:
    """Each row's codeword ``(N,)`` int64, and the rows ``(P,)`` int64 where rounding leaves the choice open."""
    reason = fused.why_unavailable(search.rows.device)
    if reason is not None:
        _say_once(reason)
        return tiled.first_pass(search)
    if not LEAST < search.longest < MOST or search.largest_bias > MOST:
        return tiled.first_pass(search)
    error = fused.error_bound(search.width) + OPERAND_ERROR
    best, runner_up, nearest = fused.two_smallest(search.rows, search.codes, search.bias)
    magnitude = search.rows.abs().amax(dim=1)
    outside = (magnitude > MOST) | ((magnitude > 0) & (magnitude < LEAST))
    is_open = undecided(runner_up - best, search.reach(search.rows), error) | (outside & magnitude.isfinite())
    return nearest, is_open.nonzero().squeeze(1)


@cache
def _say_once(reason: str) -> None:
    warnings.warn(f"Code search runs without its fused kernel, some times slower: {reason}.", stacklevel=2)
