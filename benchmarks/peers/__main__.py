"""The command ``python -m benchmarks.peers``."""

from __future__ import annotations

import fnmatch
import json
import os
import shlex
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import click
import torch

from benchmarks.peers.cases import Case
from benchmarks.peers.contenders import CONTENDERS, contenders_of
from benchmarks.peers.goals import GOALS, Goal, judge, smaller
from benchmarks.peers.measure import measure_case
from benchmarks.peers.roofline import floor_seconds, measure_rates, work_of
from benchmarks.peers.table import BUSY, Judged, Measured, Report, as_json, as_markdown
from vqbench.errors import UsageError, VQBenchError
from vqbench.results.store import write_atomically
from vqbench.worker.environment import choose_device, describe_environment

EXAMPLES = """
\b
Examples, from the root of the repository:
  python -m benchmarks.peers                               all lines of the goals table, some ten minutes on two cores
  python -m benchmarks.peers --quick                       small sizes, to see that everything runs
  python -m benchmarks.peers --only 'GQ*' --only '*FSQ*'   some operations
  python -m benchmarks.peers --device cuda --output results/published/ops
"""


@click.command(epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--device", "device_name", default="cpu", show_default=True, help="cpu, cuda, cuda:1 or auto.")
@click.option("--threads", type=click.IntRange(min=1), help="Of every contender.  [default: the cores allowed]")
@click.option(
    "--only", multiple=True, metavar="GLOB", help="Operations to measure, as the table names them. Repeatable."
)
@click.option("--quick", is_flag=True, help="Sixteenth of the rows and at most 2,048 codewords; no goals.")
@click.option("--full", is_flag=True, help="Measure all peers at all rows, whatever memory and time they take.")
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("results/local/ops"),
    show_default=True,
    metavar="DIR",
    help="Where the tables go: cpu.md and cpu.json, or cuda.md and cuda.json.",
)
def main(device_name: str, threads: int | None, only: tuple[str, ...], quick: bool, full: bool, output: Path) -> None:
    """Measure vqbench's operations beside those of other libraries.

    Every contender gets the same inputs in a process of its own; calls are timed in turns, codes are checked against
    float64, and peak memory is measured. Libraries that are not installed are named in the table: pip install --group
    peers. The tables are written after each operation, so an interrupted run keeps what it has. Needs an idle machine.
    """
    try:
        device = choose_device(device_name)
        for report in _reports(device, threads or _cores(), only, quick, full):
            _write(report, output, device.type)
    except (VQBenchError, OSError) as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(2)
    click.echo(as_markdown(report))
    _say(f"Written to {output / device.type}.md and .json")


def _reports(device: torch.device, threads: int, only: tuple[str, ...], quick: bool, full: bool) -> Iterator[Report]:
    """The report so far, after each operation."""
    torch.set_num_threads(threads)
    goals = _chosen(list(dict.fromkeys(smaller(goal) for goal in GOALS)) if quick else list(GOALS), only)
    here = [goal for goal in goals if not goal.only_there or goal.device == device.type]
    if not here:
        raise UsageError("Nothing of this runs on this device", got=device.type, hint="Try another --device or --only.")
    load = _load()
    if load is not None and load > BUSY * threads:
        _say(f"The machine is busy (load average {load:.1f}): the numbers will say so")
    _say("The machine's own rates")
    rates = measure_rates(device)
    measured: dict[Case, Measured] = {}
    cases = list(dict.fromkeys(goal.case for goal in here))
    for number, case in enumerate(cases, 1):
        _say(f"[{number}/{len(cases)}] {case.title}")
        rows = {} if full else {goal.peer: goal.peer_rows for goal in here if goal.case == case and goal.peer_rows}
        results = measure_case(case, contenders_of(case, device.type), device, threads, rows, _say)
        measured[case] = Measured(case=case, floor=floor_seconds(work_of(case), rates), results=results)
        yield Report(
            command=_command(),
            environment=describe_environment(device),
            versions=_versions(),
            rates=rates,
            load=None if load is None else (load, os.getloadavg()[0]),
            goals=[_judged(goal, measured.get(goal.case), device.type) for goal in goals],
            cases=list(measured.values()),
        )


def _write(report: Report, folder: Path, kind: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / f"{kind}.md", as_markdown(report).encode())
    write_atomically(folder / f"{kind}.json", (json.dumps(as_json(report), indent=1) + "\n").encode())


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _chosen(goals: list[Goal], only: tuple[str, ...]) -> list[Goal]:
    chosen = [goal for goal in goals if not only or any(fnmatch.fnmatch(goal.case.title, glob) for glob in only)]
    if not chosen:
        titles = "; ".join(dict.fromkeys(goal.case.title for goal in goals))
        raise UsageError("No operation is named like that", got=" ".join(only), hint=f"There are: {titles}.")
    return chosen


def _judged(goal: Goal, measured: Measured | None, device: str) -> Judged:
    if measured is None:
        elsewhere = goal.only_there and goal.device != device
        return Judged(goal=goal, verdict=None, reason=f"needs {goal.device}" if elsewhere else "not yet")
    results = {result.contender: result for result in measured.results}
    return Judged(goal=goal, verdict=judge(goal, results, measured.floor, device))


def _versions() -> dict[str, str]:
    versions = {}
    for package in dict.fromkeys(contender.package for contender in CONTENDERS.values() if contender.package):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return versions


def _load() -> float | None:
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def _command() -> str:
    return shlex.join(["python", "-m", "benchmarks.peers", *sys.argv[1:]])


def _say(line: str) -> None:
    click.echo(line, err=True)


if __name__ == "__main__":
    main()
