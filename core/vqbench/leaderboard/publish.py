"""The leaderboard that a run leaves beside its records."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import vqbench
from vqbench.leaderboard.boards import make_leaderboard
from vqbench.leaderboard.layout import describe_environment
from vqbench.leaderboard.render.markdown import escape, render_markdown
from vqbench.leaderboard.render.table import render_table
from vqbench.results import BrokenRecord, CellRecord, ResultsFolder
from vqbench.results.store import write_atomically

__all__ = ["LEADERBOARD_NAME", "PICTURE_NAME", "write_leaderboard_files"]

LEADERBOARD_NAME = "LEADERBOARD.md"
PICTURE_NAME = "reconstructions.png"


def write_leaderboard_files(
    folder: ResultsFolder,
    records: Sequence[CellRecord],
    broken: Sequence[BrokenRecord] = (),
    *,
    width: int = 120,
) -> str:
    """Write ``LEADERBOARD.md`` into a suite's folder and return the tables for a terminal ``width`` characters wide.

    The file depends on the records alone (and on whether there is a picture), so writing it again changes nothing.

    Raises:
        ResultsError: the folder cannot be written.
    """
    leaderboard = make_leaderboard(records, broken)
    text = render_markdown(leaderboard, title=f"Leaderboard: {folder.path.name}", preface=_preface(folder, records))
    write_atomically(folder.path / LEADERBOARD_NAME, text.encode())
    return render_table(leaderboard, width=width)


def _preface(folder: ResultsFolder, records: Sequence[CellRecord]) -> list[str]:
    versions = ", ".join(sorted({record.vqbench_version for record in records})) or vqbench.__version__
    command = f"vqbench leaderboard {shlex.quote(folder.path.name)} --format markdown"
    ran = {record.environment.fingerprint: record.environment for record in records if record.environment}
    paragraphs = [
        f"Made by vqbench {escape(versions)} from the {len(records)} records beside this file; "
        f"`{command.replace('`', '')}`, run in the folder above, makes the same tables.",
        *(
            f"Ran on {escape(describe_environment(environment))}, {escape(environment.platform)}, "
            f"Python {escape(environment.python)}."
            for _, environment in sorted(ran.items())
        ),
    ]
    if (folder.path / PICTURE_NAME).is_file():
        paragraphs.append(f"![Originals and reconstructions]({PICTURE_NAME})")
    return paragraphs
