"""For a repository's pages (GitHub-flavoured Markdown)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from vqbench.leaderboard.boards import Leaderboard
from vqbench.leaderboard.layout import (
    TextColumn,
    definitions,
    explain_damage,
    explain_failure,
    heading,
    legend,
    remarks,
    text_columns,
)
from vqbench.leaderboard.notation import clean
from vqbench.leaderboard.published_layout import (
    PUBLISHED_NOTE,
    PUBLISHED_TITLE,
    published_columns,
    published_heading,
    published_notes,
)
from vqbench.leaderboard.rate_layout import RATE_TITLE, rate_columns, rate_heading, rate_note, rate_remarks

__all__ = ["escape", "render_markdown"]

SPECIAL = re.compile(r"([\\`*\[\]|~$#!]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))")
ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def escape(text: str) -> str:
    """A text that Markdown shows as it is: no markup, no HTML, no new table column."""
    return SPECIAL.sub(r"\\\1", text).translate(ENTITIES)


def render_markdown(leaderboard: Leaderboard, *, title: str = "Leaderboard", preface: Sequence[str] = ()) -> str:
    """One section per board, one table per group. ``title`` is escaped; ``preface`` are ready paragraphs."""
    blocks = [f"# {escape(clean(title))}", *preface]
    for board in leaderboard.boards:
        blocks.append(f"## {board.name.capitalize()}")
        if not board.groups:
            blocks.append("Nothing was measured.")
        for group in board.groups:
            blocks += [f"### {escape(heading(group))}", _table(text_columns(group))]
            blocks += [_bullets(remarks(group))]
        said = definitions(board.groups)
        if said:
            blocks.append("What was measured:\n\n" + _bullets(said))
    blocks.append(escape(legend(leaderboard)))
    if leaderboard.rate:
        blocks += [f"## {RATE_TITLE}", escape(rate_note(leaderboard.rate))]
        for curves in leaderboard.rate.groups:
            blocks += [f"### {escape(rate_heading(curves))}", _table(rate_columns(curves))]
            blocks += [_bullets(rate_remarks(curves))]
    if leaderboard.unfinished:
        reasons = (f"{name}: {reason}" for name, reason in map(explain_failure, leaderboard.unfinished))
        blocks += ["## Unfinished", _bullets(reasons)]
    if leaderboard.broken:
        blocks += ["## Damaged records", _bullets(map(explain_damage, leaderboard.broken))]
    if leaderboard.published:
        blocks += [f"## {PUBLISHED_TITLE}", escape(PUBLISHED_NOTE)]
    for publication in leaderboard.published:
        for table, notes in zip(publication.tables, published_notes(publication), strict=True):
            heading_ = f"### Published: {escape(published_heading(table))}"
            blocks += [heading_, _table(published_columns(table)), _bullets(notes)]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _table(columns: Sequence[TextColumn]) -> str:
    rules = ["--:" if column.numeric else ":--" for column in columns]
    lines = [[column.title for column in columns], *zip(*(column.cells for column in columns), strict=True)]
    escaped = [[escape(cell) for cell in line] for line in lines]
    return "\n".join("| " + " | ".join(line) + " |" for line in [escaped[0], rules, *escaped[1:]])


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {escape(line)}" for line in lines)
