"""Processes of two checkouts take turns at timing the same operations.

Load, and what shares a core with a virtual machine, slow it down for milliseconds to minutes; and one process is faster than
another of the same code for as long as it lives, by where its memory lies. So several processes of either checkout live at the
same time and take turns of a few milliseconds, each operation from the beginning to the end: every slow moment is one of both
sides. A process's sample is its best turn in ten, by its own time, in one thread: load makes turns slow, never fast.
"""

from __future__ import annotations

import json
import math
import os
import random
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from vqbench.errors import UsageError
from vqbench.results.speeds import best_in_ten

__all__ = ["BURST", "ROUNDS", "Timed", "WorkerHandle", "list_operations", "started", "take_turns"]

WORKER = Path(__file__).with_name("worker.py")
BURST = 0.004
"""Seconds of calls in a turn; one call at least."""
ROUNDS = (6, 30)
"""Turns of each process, least and most; as many as fit into the seconds that an operation has."""
TOLD = 4000


class WorkerHandle:
    """A process of a side, a ``worker``, waiting for what to do.

    Args:
        side: what people call it.
        checkout: the folder it runs in.
        path: what it imports from before anything else.
        log: where it writes what is no answer.
    """

    def __init__(self, side: str, checkout: Path, path: Sequence[Path], log: Path) -> None:
        self.side, self._log = side, log
        inherited = os.environ.get("PYTHONPATH")
        paths = [*map(str, path), *([inherited] if inherited else [])]
        with log.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-P", WORKER],
                cwd=checkout,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                text=True,
            )

    def tell(self, *command: object) -> None:
        """Let it do something; it does nothing between what it is told."""
        assert self.process.stdin
        with suppress(BrokenPipeError):  # it has ended, which hearing tells
            print(json.dumps(command), file=self.process.stdin, flush=True)

    def hear(self) -> Any:
        """What came of it.

        Raises:
            UsageError: the process has ended.
        """
        assert self.process.stdout
        try:
            return json.loads(self.process.stdout.readline())
        except json.JSONDecodeError:
            raise UsageError(
                f"{self.side} cannot be timed",
                got="\n" + self._log.read_text(errors="replace")[-TOLD:].strip() + "\n",
                hint="It may need other packages than those installed.",
            ) from None


@contextmanager
def started(
    sides: Mapping[str, Path], sources: Sequence[str], processes: int, logs: Path
) -> Iterator[list[WorkerHandle]]:
    """So many processes of each side, ready; they end with the context."""
    with ExitStack() as stack:
        workers = []
        for number in range(processes):
            for side, checkout in sides.items():
                path = [checkout / source for source in sources]
                workers.append(WorkerHandle(side, checkout, path, logs / f"{side}-{number}.txt"))
                stack.callback(workers[-1].process.kill)
        yield workers


def list_operations(workers: Iterable[WorkerHandle]) -> list[str]:
    """Names of the operations of components that lie in any of the checkouts."""
    return list(dict.fromkeys(name for listed in _all_at_once(workers, "list").values() for name in listed))


class Timed:
    """An operation in all processes that can run it.

    Attributes:
        name: of the operation.
        problems: why a side cannot run it, by the sides that cannot.
        calls: in a turn.
        rounds: turns of each process.
        turns: what they took, seconds of a call.
    """

    def __init__(self, name: str, prepared: Mapping[WorkerHandle, Any], seconds: float) -> None:
        able = {worker: answer for worker, answer in prepared.items() if isinstance(answer, float)}
        self.name = name
        self.problems: dict[str, str] = {
            worker.side: answer["error"] for worker, answer in prepared.items() if worker not in able
        }
        self.turns: dict[WorkerHandle, list[float]] = {worker: [] for worker in able}
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
        """Seconds of a call, one sample of each process of the side."""
        return [best_in_ten(taken, higher=False) for worker, taken in self.turns.items() if worker.side == side]


def take_turns(
    workers: Sequence[WorkerHandle], names: Sequence[str], *, seconds: float, progress: Callable[[range], Iterable[int]]
) -> list[Timed]:
    """Time operations in all processes.

    Args:
        workers: of both sides.
        names: of the operations.
        seconds: for the turns of an operation, about, on an idle machine.
        progress: gives the rounds one after the other.
    """
    timed = [Timed(name, _all_at_once(workers, "prepare", name), seconds) for name in names]
    order = random.Random(0)
    for number in progress(range(ROUNDS[1])):
        for one in timed:
            one.take(number, order)
    return timed


def _all_at_once(workers: Iterable[WorkerHandle], *command: object) -> dict[WorkerHandle, Any]:
    """What each answers to what is not timed."""
    asked = list(workers)
    for worker in asked:
        worker.tell(*command)
    return {worker: worker.hear() for worker in asked}
