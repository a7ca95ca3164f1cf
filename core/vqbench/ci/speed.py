"""``python -m vqbench.ci.speed``: did HEAD make a component slower than BASE? Both are timed in turns on this machine."""

from __future__ import annotations

import contextlib
import fnmatch
import io
import os
import signal
import statistics
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

import click

from vqbench.ci.turns import Timed, list_operations, started, take_turns
from vqbench.errors import UsageError, VQBenchError
from vqbench.intervals import ORDER_STATISTICS, median_interval
from vqbench.results import BenchmarkRecord, MetricRecord
from vqbench.results.benchmarks import benchmark_id, write_benchmarks

__all__ = ["main"]

SIDES = ("base", "head")
TOOL = "vqbench.ci.speed"
PROTOCOL = (
    "median over processes, of each the best turn in ten, of the seconds of one call in one thread by process time"
)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--base", default="HEAD^", show_default=True, metavar="REV", help="What HEAD is compared with.")
@click.option("--head", default="HEAD", show_default=True, metavar="REV")
@click.option(
    "--source",
    "sources",
    multiple=True,
    metavar="DIR",
    help="Folder in the repository that packages lie in. Repeatable.  [default: src if there is one, else .]",
)
@click.option(
    "--only",
    multiple=True,
    metavar="GLOB",
    help="Operations to time: '*-forward', 'mine/fsq-*'. Repeatable.  [default: all]",
)
@click.option("--gate", type=click.Path(path_type=Path, exists=True), help="Gate file; without one the defaults hold.")
@click.option(
    "--processes", default=7, show_default=True, type=click.IntRange(1, 100), help="Of each side, at one time."
)
@click.option("--seconds", default=3.0, show_default=True, help="For the turns of an operation, about.")
@click.option("--limit", default=300.0, show_default=True, help="Seconds after which it gives up.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Keep records and reports here.  [default: they are not kept]"
)
def main(
    base: str,
    head: str,
    sources: tuple[str, ...],
    only: tuple[str, ...],
    gate: Path | None,
    processes: int,
    seconds: float,
    limit: float,
    out: Path | None,
) -> None:
    """Did HEAD make a component slower than BASE?

    The repository around here has quantizers or backbones, and is installed in this environment. Each side runs its own Python
    code, with the packages that are installed: nothing is installed or built. All sides' processes live at the same time; a
    process takes some hundred megabytes.

    \b
    Examples:
      python -m vqbench.ci.speed --base origin/main
      python -m vqbench.ci.speed --only '*-forward' --processes 10 --out speeds

    Exit codes: 0 nothing got slower; 1 something did; 2 it could not be compared; 130 interrupted.
    """
    with _limited(limit), tempfile.TemporaryDirectory(prefix="vqbench-speed-") as folder:
        try:
            kept = (out or Path(folder) / "out").absolute()
            status = _compare({"base": base, "head": head}, sources, only, processes, seconds, Path(folder), kept)
            if status is None:
                status = _judge(kept, gate.absolute() if gate else None)
        except VQBenchError as error:
            click.echo(f"vqbench.ci.speed: error: {error}", err=True)
            status = 2
    sys.exit(status)


@contextlib.contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """An error after so many seconds; and a process that is terminated cleans up."""

    def stop(number: int, frame: object) -> NoReturn:
        if number == signal.SIGALRM:
            raise UsageError(f"It takes more than {seconds:g} s here", hint="Raise --limit, or time less (--only).")
        sys.exit(128 + number)

    signal.signal(signal.SIGALRM, stop)
    signal.signal(signal.SIGTERM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)


def _compare(
    revisions: dict[str, str],
    sources: Sequence[str],
    only: Sequence[str],
    processes: int,
    seconds: float,
    work: Path,
    out: Path,
) -> int | None:
    """Leave both sides' records in a folder; 0 if there is nothing to compare."""
    repository = Path(
        _git(Path.cwd(), "rev-parse", "--show-toplevel", what="There is no repository around here").strip()
    )
    commits = {
        side: _git(
            repository,
            *("rev-parse", "--verify", f"{revision}^{{commit}}"),
            what=f"There is no revision {revision} here",
            hint="Fetch it; a shallow clone has the last commits only.",
        ).strip()
        for side, revision in revisions.items()
    }
    sources = sources or (["src"] if (repository / "src").is_dir() else ["."])
    if not _git(
        repository, "diff", "--name-only", *commits.values(), "--", *sources, what="Revisions cannot be compared"
    ):
        click.echo(f"{revisions['base']} has the same code in {', '.join(sources)}: nothing to compare.")
        return 0
    checkouts = {side: _check_out(repository, commit, sources, work / side) for side, commit in commits.items()}
    with started(checkouts, sources, processes, work) as workers:
        found = list_operations(workers)
        names = [name for name in found if not only or any(fnmatch.fnmatchcase(name, pattern) for pattern in only)]
        if not names:
            raise UsageError(
                "There is nothing to time",
                got=f"operations {', '.join(found)}"
                if found
                else f"no component whose code lies in {', '.join(sources)}",
                expected=" or ".join(only) if found else None,
                hint="--source says where packages lie, and the plugin must be installed: see `vqbench plugins`.",
            )
        timed = take_turns(workers, names, seconds=seconds, progress=_Progress(len(names), len(workers)))
    for one in timed:
        click.echo(f"{one.name}: {', '.join(_in_words(one, side) for side in SIDES)}")
    for side in SIDES:
        records = [_record(one.name, samples) for one in timed if (samples := one.samples(side))]
        if not records:
            raise UsageError(f"Nothing of {side} can be timed", hint="See above.")
        write_benchmarks(out / side / "speed", records)
    return None


class _Progress:
    """Shows how far the rounds are."""

    def __init__(self, operations: int, processes: int) -> None:
        self._label = f"{operations} operations in {processes} processes"

    def __call__(self, rounds: range) -> Iterable[int]:
        with click.progressbar(rounds, label=self._label, file=sys.stderr) as bar:
            yield from bar


def _in_words(timed: Timed, side: str) -> str:
    samples = timed.samples(side)
    return (
        f"{side} {statistics.median(samples) * 1e3:.4g} ms" if samples else f"{side} not timed, {timed.problems[side]}"
    )


def _judge(out: Path, gate: Path | None) -> int:
    """Print how two folders of records compare; the exit code of `vqbench compare`."""
    command = [
        sys.executable,
        "-m",
        "vqbench",
        "compare",
        "base",
        "head",
        "--out",
        "summary.md",
        "--out",
        "report.json",
    ]
    status = subprocess.run([*command, *(["--gate", str(gate)] if gate else [])], cwd=out, check=False).returncode
    summary, page = out / "summary.md", os.environ.get("GITHUB_STEP_SUMMARY")
    if page and summary.is_file():
        with open(page, "a") as file:
            file.write(summary.read_text())
    return status


def _git(folder: Path, *arguments: str, what: str, hint: str | None = None) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], check=False, capture_output=True, text=True)
    if done.returncode:
        raise UsageError(what, got=done.stderr.strip().splitlines()[-1] if done.stderr.strip() else None, hint=hint)
    return done.stdout


def _check_out(repository: Path, commit: str, sources: Sequence[str], folder: Path) -> Path:
    """The sources of a commit in a folder of their own."""
    done = subprocess.run(
        ["git", "-C", str(repository), "archive", commit, "--", *sources], check=False, capture_output=True
    )
    if done.returncode:
        raise UsageError(f"{folder.name} has no {' or '.join(sources)}", hint="--source says where packages lie.")
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder


def _record(name: str, samples: list[float]) -> BenchmarkRecord:
    import torch

    from vqbench.worker.environment import describe_environment

    low, high = median_interval(samples)
    environment = describe_environment(torch.device("cpu"), threads=1)
    return BenchmarkRecord(
        benchmark_id=benchmark_id(TOOL, name),
        suite="speed",
        tool=TOOL,
        name=name,
        seconds=MetricRecord(
            value=statistics.median(samples),
            low=low,
            high=high,
            interval=None if low is None else ORDER_STATISTICS,
            n=len(samples),
            unit="s",
            better="lower",
            board="throughput",
            protocol=PROTOCOL,
            samples=tuple(samples),
        ),
        fingerprint=environment.fingerprint,
        machine={"device": environment.device, "platform": environment.platform, "python": environment.python},
    )


if __name__ == "__main__":
    main()
