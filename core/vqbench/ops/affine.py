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

__all__ = ["OPERAND_ERROR", "UNIT_ROUNDOFF", "AffineSearch", "Codes", "ExactScore", "Rows", "undecided"]

UNIT_ROUNDOFF = 2.0**-24

Rows: TypeAlias = Callable[[slice | Tensor], Tensor]
"""The rows of a slice or of an int64 tensor: ``(R, D)`` float32, contiguous, each entry within one rounding of its true
value."""

Codes: TypeAlias = Callable[[slice], tuple[Tensor, Tensor]]
"""The codewords ``(C, D)`` and their biases ``(C,)`` of a slice: float32, contiguous, likewise within one rounding."""

ExactScore: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""Float64 scores ``(P,)`` of pairs (row, codeword) that two int64 tensors ``(P,)`` name; only their order matters."""

OPERAND_ERROR = 4 * UNIT_ROUNDOFF
"""Error of a score that only its operands' rounding to float32 makes, relative to |row| |code| + |bias|."""

KEPT_NUMBERS = 1 << 22  # 16 MB of codewords are made once; more of them are made again for every tile that meets them
STEP = 1 << 12  # codewords made at a time
PAIR_NUMBERS = 1 << 20  # float64 numbers held at once while deciding close pairs: 8 MB
TILE_NUMBERS = 1 << 20


def undecided(margin: Tensor, reach: Tensor, error: float) -> Tensor:
    """Whether rounding may have made the margin between a row's two smallest scores: bool ``(R,)``.

    A reach of zero: all scores are exact (zeros); one that is infinite or NaN: nothing can be decided.

    Args:
        margin: ``(R,)``.  reach: ``(R,)``, see :meth:`AffineSearch.reach`.  error: of a score, relative to the reach.
    """
    return (margin <= 2 * error * reach) & (reach > 0) & reach.isfinite()


@dataclass(frozen=True, kw_only=True)
class AffineSearch:
    """What to search. Rows and codewords are made when a pass asks for them, so none has to copy all.

    Attributes:
        number: of rows, N.  size: number of codewords, K.  width: D.  device: where all of it lies.
        rows, make_codes, exact: see the types.
    """

    number: int
    size: int
    width: int
    device: torch.device
    rows: Rows
    make_codes: Codes
    exact: ExactScore

    def codes(self, part: slice) -> tuple[Tensor, Tensor]:
        """The codewords of a slice and their biases."""
        if self._kept is None:
            return self.make_codes(part)
        return self._kept[0][part], self._kept[1][part]

    def tiles(self, columns: int) -> Iterator[slice]:
        """Slices of at most so many codewords that make up all."""
        return (slice(first, min(first + columns, self.size)) for first in range(0, self.size, columns))

    @property
    def keeps_codes(self) -> bool:
        """Whether the codewords are few enough to be made once."""
        return self.size * self.width <= KEPT_NUMBERS

    @cached_property
    def longest(self) -> float:
        """Largest Euclidean length of a codeword."""
        return self._largest(lambda codes, bias: torch.linalg.vector_norm(codes, dim=1, dtype=torch.float64))

    @cached_property
    def largest_bias(self) -> float:
        """Largest absolute bias."""
        return self._largest(lambda codes, bias: bias.abs())

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
            names: ``(P,)`` int64, the rows.  guess: ``(P,)`` int64, a codeword with a small score for each.
        """
        height = max(TILE_NUMBERS // max(min(self.size, STEP), self.width), 1)
        parts = zip(torch.split(names, height), torch.split(guess, height), strict=True)
        return torch.cat([self._decide(*part) for part in parts])

    def _decide(self, names: Tensor, guess: Tensor) -> Tensor:
        rows = self.rows(names)
        slack = 2 * self.error * self.reach(rows)
        upper = torch.full((len(rows),), torch.inf, device=self.device)  # the true minimum is not above this
        for tile in self.tiles(STEP):
            codes, bias = self.codes(tile)
            upper = torch.minimum(upper, torch.addmm(bias, rows, codes.T).amin(dim=1))
        upper += slack
        least = torch.full((len(rows),), torch.inf, dtype=torch.float64, device=self.device)
        index = guess
        pairs = max(PAIR_NUMBERS // self.width, 1)
        for tile in self.tiles(STEP):
            codes, bias = self.codes(tile)
            candidates = (torch.addmm(bias, rows, codes.T) <= upper[:, None]).nonzero()  # by row, then by codeword
            for part in torch.split(candidates, pairs):
                row, code = part[:, 0], part[:, 1] + tile.start
                score = self.exact(names[row], code)
                part_least = torch.full_like(least, torch.inf).scatter_reduce_(0, row, score, "amin")
                winner = score == part_least[row]
                lowest = torch.full_like(index, self.size)
                lowest.scatter_reduce_(0, row[winner], code[winner], "amin")
                index = torch.where(part_least < least, lowest, index)
                least = torch.minimum(least, part_least)
        return index

    @cached_property
    def _kept(self) -> tuple[Tensor, Tensor] | None:
        return self.make_codes(slice(0, self.size)) if self.keeps_codes else None

    def _largest(self, measure: Callable[[Tensor, Tensor], Tensor]) -> float:
        return max(float(measure(*self.codes(tile)).max()) for tile in self.tiles(STEP))
