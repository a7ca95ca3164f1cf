"""Shows people how a run goes: bars on a terminal, plain lines elsewhere, next to nothing when quiet."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Protocol, Self, TextIO

from vqbench.run.executor import Listener
from vqbench.run.job import Failure, Progress
from vqbench.run.schedule import Task
from vqbench.run.wording import duration, first_line, printable

__all__ = ["Display", "PlainDisplay", "QuietDisplay", "choose_display"]

LEAST_SECONDS = 2.0
STEADY_SECONDS = 30.0
STEADY_FRACTION = 0.1
STOPPING = "Stopping: the workers save what they have. Interrupt again to kill them."


class Display(Listener, Protocol):
    """Is entered around a run and told what happens in it."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    def begin(self, tasks: Sequence[Task], *, cached: int) -> None:
        """These tasks are about to run; ``cached`` cells are already there."""

    def warn(self, text: str) -> None:
        """Something the user should know, at once."""


def choose_display(*, quiet: bool = False, stream: TextIO | None = None) -> Display:
    """Bars if the stream (standard error) is a terminal that can draw them, else lines."""
    stream = sys.stderr if stream is None else stream
    if quiet:
        return QuietDisplay(stream)
    if stream.isatty() and os.environ.get("TERM") not in ("dumb", "unknown"):
        from vqbench.run.bars import BarDisplay  # rich takes a while to import

        return BarDisplay(stream)
    return PlainDisplay(stream)


class QuietDisplay:
    """Warnings only."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return None

    def begin(self, tasks: Sequence[Task], *, cached: int) -> None: ...

    def on_start(self, task: Task) -> None: ...

    def on_progress(self, task: Task, progress: Progress) -> None: ...

    def on_done(self, task: Task) -> None: ...

    def on_failure(self, task: Task, failure: Failure) -> None: ...

    def on_interrupt(self) -> None:
        self._line(STOPPING)

    def warn(self, text: str) -> None:
        self._line(f"warning: {printable(text, 2000)}")

    def _line(self, text: str) -> None:
        print(text, file=self._stream, flush=True)


class PlainDisplay(QuietDisplay):
    """One line for each start and end; between them one for each tenth of a stage, every 2 to 30 seconds."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._total = 0
        self._ended = 0
        self._jobs: dict[str, _JobLines] = {}

    def begin(self, tasks: Sequence[Task], *, cached: int) -> None:
        self._total = len(tasks)
        if cached:
            self._line(f"{cached} cells have their record from an earlier run")

    def on_start(self, task: Task) -> None:
        self._jobs[task.id] = _JobLines()
        self._event("start", task)

    def on_progress(self, task: Task, progress: Progress) -> None:
        if text := self._jobs[task.id].worth_a_line(progress):
            self._event(progress.stage, task, text)

    def on_done(self, task: Task) -> None:
        self._ended += 1
        self._event("done", task, duration(self._jobs.pop(task.id).seconds))

    def on_failure(self, task: Task, failure: Failure) -> None:
        self._ended += 1
        self._event(*describe_failure(task, failure, started=self._jobs.pop(task.id, None) is not None))

    def _event(self, word: str, task: Task, text: str = "") -> None:
        width = len(str(self._total))
        head = f"[{self._ended:{width}}/{self._total}] {word:8} {printable(task.job.name)}"
        self._line(f"{head}: {text}" if text else head)


def describe_failure(task: Task, failure: Failure, *, started: bool) -> tuple[str, Task, str]:
    """The word, the task and the text of a failure's line."""
    if not started:
        return "not run", task, "what it needs did not end well"
    status = failure.status.replace("_", " ")
    return "FAILED", task, f"{status} ({failure.stage}): {first_line(failure.message)}"


class _JobLines:
    """Decides which of a job's reports get a line."""

    def __init__(self) -> None:
        self.began = self._shown_at = self._stage_began = time.monotonic()
        self._stage = ""
        self._shown_fraction = 0.0
        self._first_done = 0

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    def worth_a_line(self, progress: Progress) -> str | None:
        now = time.monotonic()
        if progress.stage != self._stage:
            self._stage, self._stage_began = progress.stage, now
            self._first_done, self._shown_fraction = progress.done, fraction(progress)
        whole = fraction(progress)
        silence = now - self._shown_at
        grown = whole - self._shown_fraction >= STEADY_FRACTION - 1e-9
        if silence < (LEAST_SECONDS if grown else STEADY_SECONDS):
            return None
        self._shown_at, self._shown_fraction = now, whole
        text = f"{progress.done}/{progress.total}"
        if (done := progress.done - self._first_done) > 0 and progress.done < progress.total:
            left = (now - self._stage_began) / done * (progress.total - progress.done)
            text += f", {duration(left)} left"
        return text + (f", {printable(progress.detail, 80)}" if progress.detail else "")


def fraction(progress: Progress) -> float:
    """How much of its stage is done, 0 to 1."""
    return min(max(progress.done / progress.total, 0.0), 1.0) if progress.total > 0 else 0.0
