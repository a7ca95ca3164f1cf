"""Ranks: rows in the order of one number, together on one rank where the data does not tell them apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from vqbench.leaderboard.rows import Row, RowMetric
from vqbench.leaderboard.variants import variants
from vqbench.results import StoredValues
from vqbench.significance import Comparison, compare

if TYPE_CHECKING:
    from vqbench.leaderboard.boards import Column
    from vqbench.significance import Pair

__all__ = ["RankedRow", "rank_rows"]


@dataclass(frozen=True, kw_only=True)
class RankedRow:
    """A row at its place.

    ``rank`` is None where the number to rank by is missing. Rows share a rank that are equal to its first row, differ from it by
    less than a factor that counts (of speeds) or not significantly. ``comparison`` is the one that was made: with the first row
    of the rank above or of its own, ``compared_with``; None where there is none, or nothing to test with, and then every
    difference counts, but of numbers that carry a caution. ``variant`` tells the row from others with the same names.
    """

    row: Row
    rank: int | None
    comparison: Comparison | None
    compared_with: Row | None
    variant: str


def rank_rows(
    rows: Sequence[Row],
    column: Column | None,
    *,
    settled: bool = True,
    factor: float = 1.0,
    values: StoredValues | None = None,
) -> list[RankedRow]:
    """Rank rows, best first.

    Each is compared with the first row of the rank before it, so there is one comparison fewer than rows, and p is corrected
    for that many (Bonferroni).

    Args:
        rows: that may be compared, measured on the same images.
        column: what to rank by; without a direction it gives an order but no ranks.
        settled: whether the rows may be ranked at all.
        factor: by which numbers must differ at least to tell rows apart.
        values: the values of each image behind their numbers.
    """
    told_apart = variants(rows)
    numbers = {id(row): column.of(row) if column else None for row in rows}

    def order(row: Row) -> tuple[object, ...]:
        number = numbers[id(row)]
        if number is None or number.value is None:
            return True, 0.0, row.names, told_apart[id(row)]
        return False, number.value if number.better == "lower" else -number.value, row.names, told_apart[id(row)]

    comparisons = sum(number is not None and number.value is not None for number in numbers.values()) - 1
    ranked: list[RankedRow] = []
    first: tuple[Row, RowMetric] | None = None  # the row that the current rank begins with
    rank = 0
    for place, row in enumerate(sorted(rows, key=order), 1):
        number = numbers[id(row)]
        variant = told_apart[id(row)]
        if not settled or column is None or number is None or number.value is None or number.better is None:
            ranked.append(RankedRow(row=row, rank=None, comparison=None, compared_with=None, variant=variant))
            continue
        comparison = before = None
        if first is not None:
            images = partial(_images, values, column.name, (row, number), first) if values else None
            comparison = compare(number, first[1], images=images, comparisons=comparisons)
            before = first[0] if comparison else None
        if first is None or not _together(number, first[1], comparison, factor):
            first, rank = (row, number), place
        ranked.append(RankedRow(row=row, rank=rank, comparison=comparison, compared_with=before, variant=variant))
    return ranked


def _together(number: RowMetric, first: RowMetric, comparison: Comparison | None, factor: float) -> bool:
    assert number.value is not None
    assert first.value is not None
    low, high = sorted([number.value, first.value])
    if low == high or 0 < high < factor * low:
        return True
    if comparison is None:  # numbers under caution that cannot be tested tell nothing apart
        return bool(number.caution or first.caution)
    return comparison.verdict == "not significant"


def _images(values: StoredValues, name: str, *rows: tuple[Row, RowMetric]) -> Pair | None:
    """The values of each image behind two rows of one seed; None unless both have them."""
    first, second = (values.of(row.cell_ids[0], name, mean=number.value) for row, number in rows)
    return None if first is None or second is None else (first, second)
