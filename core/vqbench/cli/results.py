"""``vqbench results``: what gets into a results folder by another way than a run."""

from __future__ import annotations

import re
from pathlib import Path

import click

from vqbench.cli.selection import DEFAULT_RESULTS
from vqbench.errors import UsageError

__all__ = ["results"]

SUITE = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@click.group()
def results() -> None:
    """Bring other tools' measurements into a results folder.

    \b
    Examples:
      vqbench results import benchmarks.json --suite speed
    """


@results.command("import", epilog="Exit code 0: imported; 2: bad input, and nothing was changed.")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--suite", required=True, metavar="NAME", help="The folder in the results folder that they go to.")
@click.option(
    "--results",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=DEFAULT_RESULTS,
    show_default=True,
    metavar="DIR",
    help="The results folder.",
)
def import_benchmarks(files: tuple[Path, ...], suite: str, folder: Path) -> None:
    """Import FILEs that `pytest --benchmark-json FILE` wrote, so that `vqbench compare` compares them too.

    They replace what was imported to that suite before: a benchmark that is no longer there shall be missed. Several files
    are passes: the median of each counts as one sample. On a machine that others use, six passes of BASE and NEW in turn
    tell code from load, which rounds of one process do not.

    \b
    Examples:
      vqbench results import benchmarks.json --suite speed
      vqbench results import a.json b.json --results results/base --suite speed
    """
    if not SUITE.fullmatch(suite):
        raise UsageError(f"--suite {suite} is no name of a suite", expected="lower-case letters, digits, dots, dashes")

    from vqbench.results import import_pytest_benchmarks, write_benchmarks

    records = import_pytest_benchmarks(files, suite=suite)
    write_benchmarks(folder / suite, records)
    click.echo(f"{len(records)} benchmarks in {folder / suite}")
