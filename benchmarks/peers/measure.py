"""One case, all its contenders: each in a process of its own, timed in turns."""

from __future__ import annotations

import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch
from safetensors.torch import load_file

from benchmarks.peers.agreement import Agreement, check_codes, gradient_difference
from benchmarks.peers.cases import Case, make_inputs
from benchmarks.peers.contender import Contender
from benchmarks.peers.ours import OURS

__all__ = ["Measurement", "Status", "measure_case"]

Status: TypeAlias = Literal["ok", "cannot allocate", "not installed", "failed"]

ROOT = Path(__file__).parents[2]
INSTALL_HINT = "pip install --group peers"
LEAST_ROUNDS, MOST_ROUNDS = 3, 15
SECONDS_OF_ROUNDS = 4.0
"""Time a contender gets: one that takes longer a call is called ``LEAST_ROUNDS`` times."""
GRADIENT_TOLERANCE = 1e-3
"""Relative: float32 gradients through soft codes of 2^10 terms are some 1e-6 apart."""
SECONDS_OF_TURN = 0.1
"""A turn of a short operation is as many calls as fit, after one that wakes the threads and is not counted."""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What came of one contender in one case.

    Attributes:
        contender: its name.
        rows: N that was measured.
        scale: what time is multiplied with to stand for the case's N; 1 where all rows were measured.
        status: whether there are numbers.
        reason: why not.
        seconds: of single calls, as measured.
        extra_bytes: peak memory of a call beside inputs and results, as measured; None where the system does not tell.
        memory_scale: what memory is multiplied with to stand for the case's N.
        agreement: of its codes with float64's.
        gradient_difference: relative, from that of vqbench, where both train by the same loss.
    """

    contender: str
    rows: int
    scale: int
    status: Status
    reason: str = ""
    seconds: tuple[float, ...] = ()
    extra_bytes: int | None = None
    memory_scale: int = 1
    agreement: Agreement | None = None
    gradient_difference: float | None = None

    @property
    def median_seconds(self) -> float | None:
        """Median time of a call, scaled to the case's N."""
        return self.scale * statistics.median(self.seconds) if self.seconds else None

    @property
    def right(self) -> bool:
        """Whether its codes are those of float64, and its gradient that of vqbench, as far as rounding allows."""
        codes = self.agreement is None or self.agreement.wrong == 0
        return codes and (self.gradient_difference or 0.0) <= GRADIENT_TOLERANCE

    @property
    def case_bytes(self) -> int | None:
        """Extra memory of a call, scaled to the case's N."""
        return None if self.extra_bytes is None else self.memory_scale * self.extra_bytes


class _Worker:
    """One contender's process."""

    def __init__(self, contender: Contender, case: Case, device: torch.device, threads: int, folder: Path) -> None:
        number = len(list(folder.glob("*.errors")))
        self.answer_file, self._errors = folder / f"{number}.safetensors", folder / f"{number}.errors"
        counts = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
        with self._errors.open("w") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.peers.worker"],
                cwd=ROOT,
                env=os.environ | counts,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        task = {"contender": contender.name, "case": asdict(case), "device": str(device), "threads": threads}
        self.first = self.ask(task | {"answer_file": str(self.answer_file)})

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """One line there, one line back; how the process ended where there is none."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        line = ""
        try:
            print(json.dumps(request), file=self._process.stdin, flush=True)
            line = self._process.stdout.readline()
        except BrokenPipeError:
            pass
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
        code = self._process.wait()
        if code == -9:
            return {"status": "cannot allocate", "reason": "killed, as the system does when memory runs out"}
        last = (self._errors.read_text(errors="replace").strip().splitlines() or [""])[-1]
        return {"status": "failed", "reason": f"ended with code {code}: {last}"[:200]}

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


def measure_case(
    case: Case,
    contenders: list[Contender],
    device: torch.device,
    threads: int,
    rows: dict[str, int],
    say: Callable[[str], None],
) -> list[Measurement]:
    """Measure contenders, vqbench first, on one case.

    Args:
        case: the operation and its size.
        contenders: who has the operation.
        device: where.
        threads: of every process.
        rows: fewer rows to measure a contender at, by name; its numbers are scaled.
        say: takes lines of progress.
    """
    measured = {}
    workers: dict[str, _Worker] = {}
    with tempfile.TemporaryDirectory() as name:
        try:
            for contender in contenders:
                its = replace(case, rows=rows.get(contender.name, case.rows))
                scale = case.rows // its.rows
                grows = contender.implementations[case.operation].memory_grows
                blank = Measurement(
                    contender=contender.name,
                    rows=its.rows,
                    scale=scale,
                    memory_scale=scale if grows else 1,
                    status="ok",
                )
                if contender.module and importlib.util.find_spec(contender.module) is None:
                    measured[contender.name] = replace(blank, status="not installed", reason=INSTALL_HINT)
                    continue
                worker = _Worker(contender, its, device, threads, Path(name))
                workers[contender.name] = worker
                measured[contender.name] = _first(blank, worker, its, device)
                say(f"    {contender.name}: {_progress(measured[contender.name], worker)}")
            _compare_gradients(measured, workers, contenders)
            ready = {name: worker for name, worker in workers.items() if measured[name].status == "ok"}
            times, stopped = _take_turns(ready)
            for name, reason in stopped.items():
                measured[name] = replace(measured[name], status="failed", reason=reason)
        finally:
            for worker in workers.values():
                worker.stop()
    return [replace(result, seconds=tuple(times.get(name, ()))) for name, result in measured.items()]


def _first(blank: Measurement, worker: _Worker, case: Case, device: torch.device) -> Measurement:
    """Memory and answers of the first full call."""
    answer = worker.first
    if answer["status"] != "ready":
        return replace(blank, status=answer["status"], reason=answer["reason"])
    codes = load_file(worker.answer_file)["codes"]
    agreement = check_codes(case, make_inputs(case, device), codes)
    return replace(blank, extra_bytes=answer["extra_bytes"], agreement=agreement)


def _progress(result: Measurement, worker: _Worker) -> str:
    if result.status != "ok":
        return f"{result.status} ({result.reason})"
    return f"{worker.first['first_seconds']:.3g} s at first"


def _compare_gradients(
    measured: dict[str, Measurement], workers: dict[str, _Worker], contenders: list[Contender]
) -> None:
    """Fill in how far each gradient is from that of vqbench."""
    if OURS.name not in measured or measured[OURS.name].status != "ok":
        return
    ours = load_file(workers[OURS.name].answer_file).get("gradient")
    if ours is None:
        return
    for contender in contenders:
        result = measured[contender.name]
        comparable = contender.same_gradient and contender is not OURS and result.scale == 1
        if comparable and result.status == "ok":
            theirs = load_file(workers[contender.name].answer_file)["gradient"]
            difference = gradient_difference(theirs, ours)
            measured[contender.name] = replace(result, gradient_difference=difference)


def _take_turns(workers: dict[str, _Worker]) -> tuple[dict[str, list[float]], dict[str, str]]:
    """Times of single calls, and why processes ended that did.

    In each round every contender has a turn, so that what else the machine does hits all alike.
    """
    stopped: dict[str, str] = {}
    times: dict[str, list[float]] = {name: [] for name in workers}
    guess = {name: worker.first["first_seconds"] for name, worker in workers.items()}
    for turn in range(MOST_ROUNDS):
        for name, worker in workers.items():
            rounds = min(max(int(SECONDS_OF_ROUNDS / guess[name]), LEAST_ROUNDS), MOST_ROUNDS)
            if turn >= rounds or name in stopped:
                continue
            calls = int(SECONDS_OF_TURN / guess[name])
            answer = worker.ask({"calls": calls + 1 if calls else 1})
            if "seconds" not in answer:
                stopped[name] = answer["reason"]
                continue
            times[name] += answer["seconds"][1:] if calls else answer["seconds"]
            guess[name] = statistics.median(times[name])
    return times, stopped
