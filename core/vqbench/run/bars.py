"""Progress bars for a terminal."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.table import Column
from rich.text import Text

from vqbench.run.job import Failure, Progress
from vqbench.run.progress import STOPPING, describe_failure, fraction
from vqbench.run.schedule import Task
from vqbench.run.wording import duration, printable

__all__ = ["BarDisplay"]

REFRESHES_PER_SECOND = 4  # few: what runs below is being timed
LONG_STAGES = ("train", "evaluate")
STYLES = {"FAILED": "bold red", "not run": "red", "done": "green", "warning": "yellow"}


class BarDisplay:
    """A bar for the whole run, one for each running job, and a line above them for each end.

    Args:
        stream: a terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream, highlight=False)
        self._bars = Bars(
            TextColumn(
                "{task.description}",
                markup=False,
                table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis"),
            ),
            BarColumn(bar_width=16),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[detail]}", markup=False, table_column=Column(no_wrap=True)),
            console=self._console,
            refresh_per_second=REFRESHES_PER_SECOND,
            expand=True,
            transient=True,
            redirect_stdout=False,
        )
        self._overall: TaskID | None = None
        self._ended = 0
        self._running: dict[str, _JobBar] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bars.stop()

    def begin(self, tasks: Sequence[Task], *, cached: int) -> None:
        if cached:
            self._line("", f"{cached} cells have their record from an earlier run")
        self._overall = self._bars.add_task("all jobs", total=len(tasks), detail="")

    def on_start(self, task: Task) -> None:
        bar = self._bars.add_task(self._description("start", task), total=None, detail="")
        self._running[task.id] = _JobBar(bar)

    def on_progress(self, task: Task, progress: Progress) -> None:
        job = self._running[task.id]
        if progress.stage != job.stage:
            job.stage = progress.stage
            description = self._description(progress.stage, task)
            self._bars.reset(job.bar, total=progress.total or None, description=description)
        detail = printable(progress.detail, 40)
        self._bars.update(job.bar, completed=progress.done, total=progress.total or None, detail=detail)
        if progress.stage in LONG_STAGES:
            job.fraction = fraction(progress)
            self._update_overall()

    def on_done(self, task: Task) -> None:
        seconds = time.monotonic() - self._running[task.id].began
        self._end(task)
        self._line("done", f"{printable(task.job.name)}: {duration(seconds)}")

    def on_failure(self, task: Task, failure: Failure) -> None:
        word, _, text = describe_failure(task, failure, started=task.id in self._running)
        self._end(task)
        self._line(word, f"{printable(task.job.name)}: {text}")

    def on_interrupt(self) -> None:
        self._line("", STOPPING)

    def warn(self, text: str) -> None:
        self._line("warning", printable(text, 2000))

    def _description(self, stage: str, task: Task) -> str:
        return f"{stage:8} {printable(task.job.name)}"

    def _end(self, task: Task) -> None:
        self._ended += 1
        if (job := self._running.pop(task.id, None)) is not None:
            self._bars.remove_task(job.bar)
        self._update_overall()

    def _update_overall(self) -> None:
        if self._overall is not None:
            done = self._ended + sum(job.fraction for job in self._running.values())
            self._bars.update(self._overall, completed=done)

    def _line(self, word: str, text: str) -> None:
        line = Text.assemble((f"{word:8} ", STYLES.get(word, "")), text) if word else Text(text)
        self._console.print(line)


class _JobBar:
    """A running job's bar, its stage and how much of it is done."""

    def __init__(self, bar: TaskID) -> None:
        self.bar = bar
        self.began = time.monotonic()
        self.stage = "start"
        self.fraction = 0.0
