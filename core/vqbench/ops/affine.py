"""Streaming argmin of ``bias_k + a_n · b_k`` that decides like real arithmetic.

A float32 matrix product scores every pair. Its rounding error has a known bound; where the runner-up lies within
it, the rows are searched once more and the few codewords that could still win are compared in float64. So the
result depends neither on how the product is tiled nor on the library that computes it, and equal codewords go to
the lowest index.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

__all__ = ["ExactScore", "argmin_affine"]

ExactScore: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""Float64 scores ``(P,)`` of pairs (row, codeword) that two int64 tensors ``(P,)`` name; only their order matters."""

TILE_COLUMNS = 16384
TILE_SCORES = {"cpu": 1 << 20, "cuda": 1 << 22}  # 4 MB: stays in a CPU's cache; 16 MB
PAIR_NUMBERS = 1 << 21  # float64 numbers held at once while deciding close pairs: 16 MB
UNIT_ROUNDOFF = 2.0**-24


def argmin_affine(
    rows: Tensor, codes: Tensor, bias: Tensor, exact: ExactScore, *, tile_scores: int | None = None
) -> Tensor:
    """Index of the smallest ``bias_k + rows_n · codes_k`` for each row, the lowest one on ties: int64 ``(N,)``.

    Args:
        rows: ``(N, D)`` float32, each entry within one rounding of its true value.
        codes: ``(K, D)`` float32, likewise.
        bias: ``(K,)`` float32, likewise.
        exact: decides between codewords whose scores are closer than float32 can tell.
        tile_scores: scores in memory at a time; by default what suits the device. Does not change the result.
    """
    scores = tile_scores or TILE_SCORES.get(rows.device.type, 1 << 20)
    columns = min(len(codes), TILE_COLUMNS, scores)
    height = max(scores // columns, 1)
    words = _Codewords(
        codes=codes,
        bias=bias,
        tiles=[slice(k, k + columns) for k in range(0, len(codes), columns)],
        length=torch.linalg.vector_norm(codes, dim=1, dtype=torch.float64).float(),
        # of a dot product of D terms and the rounding of its operands, relative to |a| |b| + |bias|
        error=(rows.shape[1] + 8) * UNIT_ROUNDOFF,
    )
    nearest = torch.empty(len(rows), dtype=torch.int64, device=rows.device)
    for start in range(0, len(rows), height):
        block = rows[start : start + height]
        reach = torch.linalg.vector_norm(block, dim=1, dtype=torch.float64).float()
        best, runner_up, index = words.two_smallest(block)
        doubt = 2 * words.error * (reach * words.length.max() + bias.abs().max())
        # a doubt of zero: all scores are exact (a row of zeros); one that is infinite or NaN: nothing can be decided
        close = ((runner_up - best <= doubt) & (doubt > 0) & doubt.isfinite()).nonzero().squeeze(1)
        if len(close):
            index[close] = words.decide(block[close], reach[close], best[close], index[close], exact, close + start)
        nearest[start : start + height] = index
    return nearest


@dataclass(frozen=True, kw_only=True)
class _Codewords:
    """The side of the search that all rows share; ``tiles`` are the slices of it that are scored at a time."""

    codes: Tensor
    bias: Tensor
    tiles: list[slice]
    length: Tensor
    error: float

    def two_smallest(self, block: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The smallest and second smallest float32 score of each row, and the codeword of the smallest."""
        best = torch.full((len(block),), torch.inf, device=block.device)
        runner_up = best.clone()
        index = torch.zeros(len(block), dtype=torch.int64, device=block.device)
        for tile in self.tiles:
            scores = torch.addmm(self.bias[tile], block, self.codes[tile].T)  # (rows, columns of the tile)
            first, column = scores.min(dim=1)
            second = scores.scatter_(1, column[:, None], torch.inf).amin(dim=1)
            runner_up = torch.minimum(torch.minimum(runner_up, second), torch.maximum(best, first))
            index = torch.where(first < best, column + tile.start, index)
            best = torch.minimum(best, first)
        return best, runner_up, index

    def decide(
        self, block: Tensor, reach: Tensor, best: Tensor, index: Tensor, exact: ExactScore, names: Tensor
    ) -> Tensor:
        """The winner of each row by float64 scores, among all codewords whose true score may be the smallest.

        ``best`` is the row's smallest float32 score and ``index`` its codeword; ``exact`` knows the rows by ``names``.
        """
        row_error, bias_error = self.error * reach, self.error * self.bias.abs()
        upper = best + row_error * self.length[index] + bias_error[index]  # the true minimum is not above this
        least = torch.full((len(block),), torch.inf, dtype=torch.float64, device=block.device)
        pairs = max(PAIR_NUMBERS // self.codes.shape[1], 1)
        for tile in self.tiles:
            scores = torch.addmm(self.bias[tile], block, self.codes[tile].T)
            scores -= row_error[:, None] * self.length[tile] + bias_error[tile]
            candidates = (scores <= upper[:, None]).nonzero()  # by row, within a row by codeword
            for part in torch.split(candidates, pairs):
                row, code = part[:, 0], part[:, 1] + tile.start
                score = exact(names[row], code)
                part_least = torch.full_like(least, torch.inf).scatter_reduce_(0, row, score, "amin")
                winner = score == part_least[row]
                lowest = torch.full_like(index, len(self.codes))
                lowest.scatter_reduce_(0, row[winner], code[winner], "amin")
                index = torch.where(part_least < least, lowest, index)
                least = torch.minimum(least, part_least)
        return index
