"""First pass of a search by torch's own operations, on any device: tiles of scores, best and runner-up of each row."""

from __future__ import annotations

import torch
from torch import Tensor

from vqbench.ops.affine import AffineSearch, undecided

__all__ = ["first_pass"]

TILE_COLUMNS = 16384
TILE_SCORES = 1 << 22  # 16 MB


def first_pass(search: AffineSearch) -> tuple[Tensor, Tensor]:
    """Each row's codeword ``(N,)`` int64, and the rows ``(P,)`` int64 where rounding leaves the choice open."""
    columns = min(len(search.codes), TILE_COLUMNS)
    height = max(TILE_SCORES // max(columns, search.width), 1)
    nearest = torch.empty(len(search.rows), dtype=torch.int64, device=search.rows.device)
    doubtful = []
    for start in range(0, len(search.rows), height):
        here = slice(start, min(start + height, len(search.rows)))
        rows = search.rows[here]
        best, runner_up, nearest[here] = two_smallest(search, rows, columns)
        is_open = undecided(runner_up - best, search.reach(rows), search.error)
        doubtful.append(is_open.nonzero().squeeze(1) + start)
    return nearest, torch.cat(doubtful) if doubtful else nearest


def two_smallest(search: AffineSearch, rows: Tensor, columns: int) -> tuple[Tensor, Tensor, Tensor]:
    """The smallest and second smallest float32 score of each row, and the codeword of the smallest."""
    best = torch.full((len(rows),), torch.inf, device=rows.device)
    runner_up = best.clone()
    index = torch.zeros(len(rows), dtype=torch.int64, device=rows.device)
    for tile in search.tiles(columns):
        scores = torch.addmm(search.bias[tile], rows, search.codes[tile].T)  # (rows, columns of the tile)
        first, column = scores.min(dim=1)
        second = scores.scatter_(1, column[:, None], torch.inf).amin(dim=1)
        runner_up = torch.minimum(torch.minimum(runner_up, second), torch.maximum(best, first))
        index = torch.where(first < best, column + tile.start, index)
        best = torch.minimum(best, first)
    return best, runner_up, index
