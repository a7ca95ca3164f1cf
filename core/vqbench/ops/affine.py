"""Streaming argmin of ``bias_k + rows_n · codes_k`` that decides like real arithmetic.

A first pass in low precision scores every pair. Its rounding error has a known bound; where other codewords lie within
it, the few that could still win are compared in float64. So the result depends neither on how the first pass is tiled
nor on the library or the device that computes it, and equal codewords go to the lowest index.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import torch
from torch import Tensor

__all__ = ["OPERAND_ERROR", "UNIT_ROUNDOFF", "AffineSearch", "ExactScore", "undecided"]

ExactScore: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""Float64 scores ``(P,)`` of pairs (row, codeword) that two int64 tensors ``(P,)`` name; only their order matters."""

UNIT_ROUNDOFF = 2.0**-24
OPERAND_ERROR = 4 * UNIT_ROUNDOFF
"""Error of a score that only its operands' rounding to float32 makes, relative to |row| |code| + |bias|."""

TILE_COLUMNS = 1 << 12  # codewords scored at a time while deciding
TILE_NUMBERS = 1 << 20  # scores or numbers of rows meanwhile: 4 MB
PAIR_NUMBERS = 1 << 20  # float64 numbers of pairs: 8 MB


def undecided(margin: Tensor, reach: Tensor, error: float) -> Tensor:
    """Whether rounding may have made the margin between a row's two smallest scores: bool ``(R,)``.

    A reach of zero: all scores are exact (zeros); one that is infinite or NaN: nothing can be decided.

    Args:
        margin: ``(R,)``.  reach: ``(R,)``, see :meth:`AffineSearch.reach`.  error: of a score, relative to the reach.
    """
    return (margin <= 2 * error * reach) & (reach > 0) & reach.isfinite()


@dataclass(frozen=True, kw_only=True)
class AffineSearch:
    """What to search.

    Attributes:
        rows: ``(N, D)`` float32, contiguous, each entry within one rounding of its true value.
        codes: ``(K, D)`` float32, likewise.
        bias: ``(K,)`` float32, likewise.
        exact: decides between codewords whose scores are closer than float32 can tell.
    """

    rows: Tensor
    codes: Tensor
    bias: Tensor
    exact: ExactScore

    @property
    def width(self) -> int:
        """Columns of rows and codewords, D."""
        return self.rows.shape[1]

    def tiles(self, columns: int) -> Iterator[slice]:
        """Slices of at most so many codewords that make up all."""
        size = len(self.codes)
        return (slice(first, min(first + columns, size)) for first in range(0, size, columns))

    @cached_property
    def longest(self) -> float:
        """Largest Euclidean length of a codeword."""
        lengths: Tensor = torch.linalg.vector_norm(self.codes, dim=1, dtype=torch.float64)
        return float(lengths.max())

    @cached_property
    def largest_bias(self) -> float:
        """Largest absolute bias."""
        return float(self.bias.abs().max())

    @cached_property
    def error(self) -> float:
        """Rounding error of a float32 score, and of the operands it is made from, relative to |row| |code| + |bias|."""
        return (self.width + 8) * UNIT_ROUNDOFF

    def reach(self, rows: Tensor) -> Tensor:
        """``(R,)`` float32: the largest that |row| |code| + |bias| can be."""
        lengths: Tensor = torch.linalg.vector_norm(rows, dim=1, dtype=torch.float64)
        return (lengths * self.longest + self.largest_bias).float()

    def decide(self, names: Tensor, guess: Tensor) -> Tensor:
        """The winners of some rows among all codewords whose true score may be the smallest: int64 ``(P,)``.

        Args:
            names: ``(P,)`` int64, the rows.
            guess: ``(P,)`` int64, for rows that nothing can be decided of: NaN and infinity.
        """
        height = max(TILE_NUMBERS // max(min(len(self.codes), TILE_COLUMNS), self.width), 1)
        parts = zip(torch.split(names, height), torch.split(guess, height), strict=True)
        return torch.cat([self._decide(*part) for part in parts])

    def _decide(self, names: Tensor, guess: Tensor) -> Tensor:
        rows = self.rows[names]
        upper = torch.full((len(rows),), torch.inf, device=rows.device)  # the true minimum is not above this
        for tile in self.tiles(TILE_COLUMNS):
            upper = torch.minimum(upper, torch.addmm(self.bias[tile], rows, self.codes[tile].T).amin(dim=1))
        upper += 2 * self.error * self.reach(rows)
        least = torch.full((len(rows),), torch.inf, dtype=torch.float64, device=rows.device)
        index = guess
        pairs = max(PAIR_NUMBERS // self.width, 1)
        for tile in self.tiles(TILE_COLUMNS):
            scores = torch.addmm(self.bias[tile], rows, self.codes[tile].T)
            candidates = (scores <= upper[:, None]).nonzero()  # by row, within a row by codeword
            for part in torch.split(candidates, pairs):
                row, code = part[:, 0], part[:, 1] + tile.start
                score = self.exact(names[row], code)
                part_least = torch.full_like(least, torch.inf).scatter_reduce_(0, row, score, "amin")
                winner = score == part_least[row]
                lowest = torch.full_like(index, len(self.codes))
                lowest.scatter_reduce_(0, row[winner], code[winner], "amin")
                index = torch.where(part_least < least, lowest, index)
                least = torch.minimum(least, part_least)
        return index
