#!/usr/bin/env python3
"""vqbench's own gate on speed: hot operations of two commits, timed in turns on this machine and compared under speed.toml.

Load, and what shares a core with a virtual machine, slow it down for milliseconds to minutes; and one process is faster than
another of the same code for as long as it lives, by where its memory lies. So several processes of either commit live at the same
time and take turns of a few milliseconds: every slow moment is one of both. A process's sample is its best turn in ten, by its
own time, in one thread: load makes turns slow, never fast.
"""

from __future__ import annotations

import fnmatch
import io
import json
import math
import os
import random
import signal
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

import click
import torch

from vqbench.intervals import ORDER_STATISTICS, median_interval
from vqbench.results import BenchmarkRecord, MetricRecord
from vqbench.results.benchmarks import benchmark_id, write_benchmarks
from vqbench.results.speeds import best_in_ten
from vqbench.worker.environment import describe_environment

ROOT = Path(__file__).resolve().parents[1]
WORKER, GATE = ROOT / "ci" / "speed_worker.py", ROOT / "ci" / "speed.toml"
PACKAGES = ["core", "plugins", "benchmarks"]  # what a worker imports
DEFINITIONS = "benchmarks/components.py"
HOT = ("*-forward", "vqbench/unet-*")
SIDES = ("base", "head")
TOOL = "ci/speed.py"
PROTOCOL = (
    "median over processes, of each the best turn in ten, of the seconds of one call in one thread by process time"
)
BURST = 0.004
"""Seconds of calls in a turn; one call at least."""
ROUNDS = (6, 30)
"""Turns of each process, least and most; as many as fit into the seconds that an operation has."""


class Nothing(Exception):
    """There is nothing to compare; the text says why."""


class Worker:
    """A process of a side, waiting for what to do."""

    def __init__(self, side: str, checkout: Path, log: Path) -> None:
        self.side, self.log = side, log
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(map(str, [checkout / "core", checkout / "plugins", checkout])),
            "OMP_NUM_THREADS": "1",
            "PYTHONDONTWRITEBYTECODE": "",  # the others of the side start faster
        }
        with log.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, WORKER],
                cwd=checkout,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                text=True,
            )

    def tell(self, *command: object) -> None:
        """Let it do something; between what it is told it does nothing."""
        assert self.process.stdin
        with suppress(BrokenPipeError):  # it has ended, which hearing tells
            print(json.dumps(command), file=self.process.stdin, flush=True)

    def hear(self) -> Any:
        """What came of it.

        Raises:
            Nothing: the process has ended.
        """
        assert self.process.stdout
        try:
            return json.loads(self.process.stdout.readline())
        except json.JSONDecodeError:
            sys.stderr.write(self.log.read_text()[-4000:])
            raise Nothing(
                f"{self.side} cannot be timed, see above; it may need other packages than those installed"
            ) from None


def git(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", "-C", str(ROOT), *arguments], check=check, capture_output=True)


def differ(base: str, *paths: str) -> bool:
    return git("diff", "--quiet", base, "HEAD", "--", *paths, check=False).returncode != 0


def check_out(revision: str, folder: Path) -> Path:
    with tarfile.open(fileobj=io.BytesIO(git("archive", revision, *PACKAGES).stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder


@contextmanager
def started(base: str, processes: int) -> Iterator[list[Worker]]:
    """Processes of BASE and HEAD, ready; they end with the context."""
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vqbench-speed-")))
        checkouts = {
            side: check_out(revision, work / side) for side, revision in zip(SIDES, (base, "HEAD"), strict=True)
        }
        workers: list[Worker] = []
        stack.callback(lambda: [worker.process.kill() for worker in workers])
        for number in range(processes):
            for side, checkout in checkouts.items():
                workers.append(Worker(side, checkout, work / f"{side}-{number}.txt"))
        yield workers


def all_at_once(workers: list[Worker], *command: object) -> dict[Worker, Any]:
    """What each answers to what is not timed."""
    for worker in workers:
        worker.tell(*command)
    return {worker: worker.hear() for worker in workers}


class Timed:
    """An operation in all processes that can run it.

    Attributes:
        calls: in a turn.
        rounds: turns of each process.
        turns: what they took, seconds of a call.
    """

    def __init__(self, name: str, prepared: dict[Worker, Any], seconds: float) -> None:
        able = {worker: duration for worker, duration in prepared.items() if isinstance(duration, float)}
        self.name = name
        self.turns: dict[Worker, list[float]] = {worker: [] for worker in able}
        if able:
            usual = statistics.median(able.values())
            self.calls = max(math.ceil(BURST / usual), 1)
            least, most = ROUNDS
            self.rounds = min(max(int(seconds / (len(able) * self.calls * usual)), least), most)

    def take(self, round_number: int, order: random.Random) -> None:
        """A turn of each process, if this is one of the rounds it has, which are spread over all there are."""
        if not self.turns or round_number * self.rounds % ROUNDS[1] >= self.rounds:
            return
        for worker in order.sample(list(self.turns), len(self.turns)):
            worker.tell("time", self.name, self.calls)
            self.turns[worker].append(worker.hear())

    def samples(self, side: str) -> list[float]:
        return [best_in_ten(taken, higher=False) for worker, taken in self.turns.items() if worker.side == side]


def measure(workers: list[Worker], seconds: float) -> list[Timed]:
    names = dict.fromkeys(name for listed in all_at_once(workers, "list").values() for name in listed)
    hot = [name for name in names if any(fnmatch.fnmatchcase(name, pattern) for pattern in HOT)]
    timed = [Timed(name, all_at_once(workers, "prepare", name), seconds) for name in hot]
    order = random.Random(0)
    with click.progressbar(range(ROUNDS[1]), label=f"{len(hot)} operations in {len(workers)} processes") as rounds:
        for number in rounds:
            for one in timed:
                one.take(number, order)
    return timed


def record(name: str, samples: list[float]) -> BenchmarkRecord:
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


def compare(base: str, out: Path, processes: int, seconds: float) -> int:
    """Time both commits, leave their records in ``out`` and print how they compare; `vqbench compare`'s exit code."""
    if git("rev-parse", "--quiet", "--verify", f"{base}^{{commit}}", check=False).returncode:
        raise Nothing(f"there is no revision {base} here (a shallow clone?)")
    if differ(base, DEFINITIONS):
        raise Nothing(f"{base} has other benchmarks")
    if not differ(base, "core", "plugins"):
        raise Nothing(f"{base} has the same code")
    with started(base, processes) as workers:
        timed = measure(workers, seconds)
    if not any(one.turns for one in timed):
        raise Nothing("no operation can be measured here")
    for side in SIDES:
        found = [(one.name, one.samples(side)) for one in timed]
        write_benchmarks(out / side / "speed", [record(name, samples) for name, samples in found if samples])
    for one in timed:
        medians = [f"{side} {statistics.median(one.samples(side)) * 1e3:.4g} ms" for side in SIDES if one.samples(side)]
        print(f"{one.name}: {', '.join(medians) or 'not measured here'}")
    reports = ["--out", "summary.md", "--out", "report.json"]
    command = [sys.executable, "-m", "vqbench", "compare", "base", "head", "--gate", GATE, *reports]
    return subprocess.run(command, cwd=out, check=False).returncode


@click.command()
@click.option("--base", default="HEAD^", show_default=True, metavar="REV", help="What HEAD is compared with.")
@click.option("--processes", default=7, show_default=True, help="Of either commit.")
@click.option("--seconds", default=3.0, show_default=True, help="For the turns of an operation, about.")
@click.option("--limit", default=300.0, show_default=True, help="Seconds after which it gives up.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Keep records and report here.  [default: a folder that goes]"
)
def main(base: str, processes: int, seconds: float, limit: float, out: Path | None) -> None:
    """Did HEAD make a hot operation slower than BASE? Each side's own code with the packages installed here.

    Exit code: 1 if something got slower; else 0, also where there is nothing to compare or it cannot be run, which is said.

    \b
    Examples:
      python ci/speed.py
      python ci/speed.py --base main --processes 10 --limit 600
    """

    def stop(number: int, frame: object) -> NoReturn:
        if number == signal.SIGALRM:
            raise Nothing(f"it takes more than {limit:g} s here")
        sys.exit(128 + number)

    signal.signal(signal.SIGALRM, stop)
    signal.signal(signal.SIGTERM, stop)
    signal.setitimer(signal.ITIMER_REAL, limit)
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="vqbench-speed-") as folder:
        try:
            status = compare(base, out or Path(folder), processes, seconds)
        except Nothing as why:
            print(f"speed.py: no speeds are compared: {why}")
            status = 0
    print(f"speed.py: {time.monotonic() - start:.0f} s")
    sys.exit(status)


if __name__ == "__main__":
    main()
