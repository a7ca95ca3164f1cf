"""The leaderboard that a run leaves beside its records."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace

import vqbench
from vqbench.leaderboard.boards import Leaderboard, make_leaderboard
from vqbench.leaderboard.layout import describe_environment
from vqbench.leaderboard.rate_board import make_rate_board
from vqbench.leaderboard.render.markdown import escape, render_markdown
from vqbench.leaderboard.render.table import render_table
from vqbench.results import BrokenRecord, CellRecord, ResultsFolder, StoredValues
from vqbench.results.store import write_atomically

__all__ = ["LEADERBOARD_NAME", "PICTURE_NAME", "PLOT_NAME", "write_leaderboard_files"]

LEADERBOARD_NAME = "LEADERBOARD.md"
PICTURE_NAME = "reconstructions.png"
PLOT_NAME = "rate.png"


def write_leaderboard_files(
    folder: ResultsFolder,
    records: Sequence[CellRecord],
    broken: Sequence[BrokenRecord] = (),
    *,
    width: int = 120,
    warn: Callable[[str], None] = lambda message: None,
) -> str:
    """Write ``LEADERBOARD.md`` into a suite's folder and return the tables for a terminal ``width`` characters wide.

    Where methods were run at several rates, ``rate.png`` is drawn beside it. The files depend on the records and the values of
    each image beside them alone (and on whether there is a picture), so writing them again changes nothing. ``warn`` is told
    about damaged values, which count as missing.

    Raises:
        ResultsError: the folder cannot be written.
    """
    leaderboard = make_leaderboard(records, broken, values=StoredValues(folder.path, warn=warn))
    leaderboard = replace(leaderboard, rate=make_rate_board(records))
    preface = _preface(folder, records, used_values=_used_values(leaderboard))
    if leaderboard.rate:
        from vqbench.leaderboard.plot import plot_rate_board

        plot_rate_board(leaderboard.rate, folder.path / PLOT_NAME)
        preface.append(f"![Quality over rate]({PLOT_NAME})")
    text = render_markdown(leaderboard, title=f"Leaderboard: {folder.path.name}", preface=preface)
    write_atomically(folder.path / LEADERBOARD_NAME, text.encode())
    return render_table(leaderboard, width=width)


def _used_values(leaderboard: Leaderboard) -> bool:
    rows = (row for board in leaderboard.boards for group in board.groups for row in group.rows)
    return any(row.comparison and row.comparison.method == "paired bootstrap over images" for row in rows)


def _preface(folder: ResultsFolder, records: Sequence[CellRecord], *, used_values: bool) -> list[str]:
    versions = ", ".join(sorted({record.vqbench_version for record in records})) or vqbench.__version__
    command = f"vqbench leaderboard {shlex.quote(folder.path.name)} --format markdown"
    values = " and their values of each image" if used_values else ""
    ran = {record.environment.fingerprint: record.environment for record in records if record.environment}
    paragraphs = [
        f"Made by vqbench {escape(versions)} from the {len(records)} records{values} beside this file; "
        f"`{command.replace('`', '')}`, run in the folder above, makes the same tables.",
        *(
            f"Timed on {escape(describe_environment(environment))}, {escape(environment.platform)}, "
            f"Python {escape(environment.python)}."
            for _, environment in sorted(ran.items())
        ),
    ]
    if (folder.path / PICTURE_NAME).is_file():
        paragraphs.append(f"![Originals and reconstructions]({PICTURE_NAME})")
    return paragraphs
