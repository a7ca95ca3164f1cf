"""For a terminal."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import replace

from tabulate import tabulate

from vqbench.leaderboard.boards import Group, Leaderboard
from vqbench.leaderboard.layout import (
    TextColumn,
    explain_damage,
    explain_failure,
    heading,
    legend,
    remarks,
    text_columns,
)
from vqbench.leaderboard.published import Publication
from vqbench.leaderboard.published_layout import (
    PUBLISHED_NOTE,
    PUBLISHED_TITLE,
    published_columns,
    published_heading,
    published_notes,
)
from vqbench.leaderboard.rate_layout import RATE_TITLE, rate_columns, rate_heading, rate_note, rate_remarks

__all__ = ["render_table"]

LEAST_WIDTH = 60
MOST_LISTED = 50
GAP = 2
TITLE_PADDING = 2  # tabulate adds it to headers
LEAST_TITLE = 12
PIECE = re.compile(r"[^_ ]*[_ ]?")


def render_table(leaderboard: Leaderboard, *, width: int = 120) -> str:
    """Plain tables of at most ``width`` characters; what does not fit is left out, and said to be.

    The essential columns are always there, be the terminal ever so narrow.
    """
    width = max(width, LEAST_WIDTH)
    blocks = []
    for board in leaderboard.boards:
        blocks += [_group(group, width) for group in board.groups]
        if not board.groups:
            blocks.append(f"{board.name.upper()}: nothing was measured")
    if text := legend(leaderboard):
        blocks.append(textwrap.fill(text, width))
    if leaderboard.rate:
        for curves in leaderboard.rate.groups:
            title = f"{RATE_TITLE.upper()} · {rate_heading(curves)}"
            blocks.append(_block(title, rate_columns(curves), rate_remarks(curves), width))
        blocks.append(textwrap.fill(rate_note(leaderboard.rate), width))
    lines = [f"  {name}: {reason}" for name, reason in map(explain_failure, leaderboard.unfinished)]
    if lines:
        blocks.append("\n".join([f"UNFINISHED ({len(lines)})", *_some(lines)]))
    lines = [f"  {explain_damage(broken)}" for broken in leaderboard.broken]
    if lines:
        blocks.append("\n".join([f"DAMAGED RECORDS ({len(lines)})", *_some(lines)]))
    if leaderboard.published:
        blocks.append(textwrap.fill(f"{PUBLISHED_TITLE.upper()} · {PUBLISHED_NOTE}", width, subsequent_indent="  "))
    blocks += [block for publication in leaderboard.published for block in _published(publication, width)]
    return "\n\n".join(blocks) + "\n"


def _group(group: Group, width: int) -> str:
    return _block(f"{group.board.upper()} · {heading(group)}", text_columns(group), remarks(group), width)


def _published(publication: Publication, width: int) -> list[str]:
    return [
        _block(f"PUBLISHED · {published_heading(table)}", published_columns(table), notes, width)
        for table, notes in zip(publication.tables, published_notes(publication), strict=True)
    ]


def _block(title: str, all_columns: Sequence[TextColumn], remarks: Sequence[str], width: int) -> str:
    columns, left_out = fit(all_columns, width)
    table = tabulate(
        list(zip(*(column.cells for column in columns), strict=True)),
        headers=[broken_title(column) for column in columns],
        tablefmt="simple",
        disable_numparse=True,
        colalign=["right" if column.numeric else "left" for column in columns],
    )
    notes = _some([f"  {line}" for line in remarks])
    if left_out:
        notes.append(f"  Not shown for want of width: {', '.join(left_out)}.")
    notes = [part for line in notes for part in textwrap.wrap(line, width, subsequent_indent="  ")]
    return "\n".join([*textwrap.wrap(title, width, subsequent_indent="  "), table, *notes])


def fit(columns: Sequence[TextColumn], width: int) -> tuple[list[TextColumn], list[str]]:
    """Make columns fit: first by leaving out intervals from the right, then whole columns; and what was left out."""
    kept = list(columns)
    left_out: list[str] = []
    for column in reversed(columns):
        if _width(kept) <= width:
            break
        if column.brief is not None and not column.essential:
            kept[kept.index(column)] = replace(column, cells=column.brief)
            if column.brief != column.cells:
                left_out.append(f"intervals of {column.title}")
    for column in reversed(columns):
        if _width(kept) <= width:
            break
        if not column.essential:
            index = next(i for i, other in enumerate(kept) if other.title == column.title)
            del kept[index]
            if f"intervals of {column.title}" in left_out:
                left_out.remove(f"intervals of {column.title}")
            left_out.append(column.title)
    return kept, left_out[::-1]


def broken_title(column: TextColumn) -> str:
    """The title in lines about as wide as the column's cells, broken after underscores and at spaces."""
    room = max(LEAST_TITLE, *map(len, column.cells))
    lines = [""]
    for piece in PIECE.findall(column.title):
        if len(lines[-1]) + len(piece.rstrip()) > room and lines[-1]:
            lines.append("")
        lines[-1] += piece
    return "\n".join(line.rstrip() for line in lines)


def _width(columns: Sequence[TextColumn]) -> int:
    titles = (max(map(len, broken_title(column).split("\n"))) + TITLE_PADDING for column in columns)
    return sum(max(title, *map(len, c.cells)) + GAP for title, c in zip(titles, columns, strict=True)) - GAP


def _some(lines: Sequence[str]) -> list[str]:
    more = len(lines) - MOST_LISTED
    return [*lines[:MOST_LISTED], f"  … and {more} more; --format json lists all"] if more > 0 else list(lines)
