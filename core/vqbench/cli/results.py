"""``vqbench results``: what gets into a results folder by another way than a run."""

from __future__ import annotations

import re
from pathlib import Path

import click

from vqbench.cli.output import warn
from vqbench.cli.selection import DEFAULT_RESULTS
from vqbench.errors import ResultsError, UsageError

__all__ = ["results"]

results_option = click.option(
    "--results",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=DEFAULT_RESULTS,
    show_default=True,
    metavar="DIR",
    help="The results folder.",
)
SUITE = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@click.group()
def results() -> None:
    """Bring more measurements into a results folder: other tools', or other runs'.

    \b
    Examples:
      vqbench results import benchmarks.json --suite speed
      vqbench results merge pass-2 pass-3 --results pass-1
    """


@results.command("import", epilog="Exit code 0: imported; 2: bad input, and nothing was changed.")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--suite", required=True, metavar="NAME", help="The folder in the results folder that they go to.")
@results_option
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


@results.command("merge", epilog="Exit code 0: merged; 2: bad input, and nothing was changed.")
@click.argument(
    "runs", nargs=-1, required=True, metavar="RUN...", type=click.Path(path_type=Path, exists=True, file_okay=False)
)
@results_option
def merge(runs: tuple[Path, ...], folder: Path) -> None:
    """Merge the speeds of further RUNs of the same suites, results folders each, into the records of --results.

    They become passes: each run is one sample of a speed. Everything but speeds stays as it was. On a machine that others
    use, six passes of BASE and NEW in turn tell code from load, which samples of one process do not.

    \b
    Examples:
      vqbench results merge base-2 base-3 base-4 base-5 base-6 --results base-1
    """
    from vqbench.results import CellRecord, ResultsFolder, merge_passes, read_records

    def read(path: Path) -> dict[tuple[str, str], CellRecord]:
        records, broken = read_records(path)
        for one in broken:
            warn(f"left out: {one.reason}")
        return {(record.suite, record.cell_id): record for record in records}

    first, others = read(folder), [read(run) for run in runs]
    for run, other in zip(runs, others, strict=True):
        if not first.keys() & other.keys():
            raise ResultsError(f"{run} has none of the cells of {folder}", expected="runs of the same suite")
    merged = [merge_passes(record, [o[key] for o in others if key in o]) for key, record in first.items()]
    for record in merged:
        ResultsFolder(folder, record.suite).write(record)
    click.echo(f"{len(merged)} cells of {len(runs) + 1} runs in {folder}")
