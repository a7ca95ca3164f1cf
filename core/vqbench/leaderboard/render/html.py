"""For a browser: one self-contained page, without scripts or anything fetched."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

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
from vqbench.leaderboard.published_layout import (
    PUBLISHED_NOTE,
    PUBLISHED_TITLE,
    published_columns,
    published_heading,
    published_notes,
)
from vqbench.leaderboard.rate_layout import RATE_TITLE, rate_columns, rate_heading, rate_note, rate_remarks

__all__ = ["render_html"]

HEAD = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>vqbench leaderboard</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 90rem; padding: 0 1rem }
body { color: #1b1f24; background: #fff }
h2 { margin-top: 2.5rem; border-bottom: 1px solid #d0d7de }
h3 { font-size: 1rem; font-weight: 600 }
.wide { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .3rem .8rem; border-bottom: 1px solid #d0d7de; text-align: left; white-space: nowrap }
th.number, td.number { text-align: right }
ul { color: #57606a; padding-left: 1.2rem }
@media (prefers-color-scheme: dark) { body { color: #e6edf3; background: #0d1117 } ul { color: #9198a1 } }
</style>
</head>
<body>
<h1>Leaderboard</h1>
"""


def render_html(leaderboard: Leaderboard) -> str:
    """One section per board, one table per group; hovering over a number shows all of its digits."""
    parts = []
    for board in leaderboard.boards:
        parts.append(f"<h2>{board.name.capitalize()}</h2>")
        if not board.groups:
            parts.append("<p>Nothing was measured.</p>")
        for group in board.groups:
            parts += [f"<h3>{escape(heading(group))}</h3>", _table(text_columns(group)), _bullets(remarks(group))]
        if said := definitions(board.groups):
            parts += ["<p>What was measured:</p>", _bullets(said)]
    if text := legend(leaderboard):
        parts.append(f"<p>{escape(text)}</p>")
    if leaderboard.rate:
        parts += [f"<h2>{RATE_TITLE}</h2>", f"<p>{escape(rate_note(leaderboard.rate))}</p>"]
        for curves in leaderboard.rate.groups:
            parts += [f"<h3>{escape(rate_heading(curves))}</h3>", _table(rate_columns(curves))]
            parts += [_bullets(rate_remarks(curves))]
    if leaderboard.unfinished:
        reasons = (f"{name}: {reason}" for name, reason in map(explain_failure, leaderboard.unfinished))
        parts += ["<h2>Unfinished</h2>", _bullets(reasons)]
    if leaderboard.broken:
        parts += ["<h2>Damaged records</h2>", _bullets(map(explain_damage, leaderboard.broken))]
    if leaderboard.published:
        parts += [f"<h2>{escape(PUBLISHED_TITLE)}</h2>", f"<p>{escape(PUBLISHED_NOTE)}</p>"]
    for publication in leaderboard.published:
        for table, notes in zip(publication.tables, published_notes(publication), strict=True):
            title = f"<h3>Published: {escape(published_heading(table))}</h3>"
            parts += [title, _table(published_columns(table)), _bullets(notes)]
    return HEAD + "\n".join(parts) + "\n</body>\n</html>\n"


def _table(columns: Sequence[TextColumn]) -> str:
    header = "".join(f"<th{_kind(column)}>{escape(column.title)}</th>" for column in columns)
    lines = ["<div class=wide><table>", f"<thead><tr>{header}</tr></thead>", "<tbody>"]
    for index in range(len(columns[0].cells)):
        lines.append("<tr>" + "".join(_cell(column, index) for column in columns) + "</tr>")
    return "\n".join([*lines, "</tbody></table></div>"])


def _cell(column: TextColumn, index: int) -> str:
    detail = column.details[index] if column.details else ""
    title = f' title="{escape(detail)}"' if detail else ""
    return f"<td{_kind(column)}{title}>{escape(column.cells[index])}</td>"


def _kind(column: TextColumn) -> str:
    return " class=number" if column.numeric else ""


def _bullets(lines: Iterable[str]) -> str:
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<ul>{items}</ul>" if items else ""
