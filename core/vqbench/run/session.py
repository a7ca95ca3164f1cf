"""Runs a plan in a results folder: does what is not done yet, and leaves a record for every cell."""

from __future__ import annotations

import datetime
import os
import shutil
import time
from collections import Counter
from pathlib import Path

from vqbench.errors import RecordError, ResultsError
from vqbench.plan import Cell, Plan
from vqbench.results import BrokenRecord, ResultsFolder, Status
from vqbench.run.cached import Cached, satisfies, what_is_cached
from vqbench.run.executor import Executor, ExecutorOptions
from vqbench.run.job import CellJob, Failure, Progress, TrainJob, WorkerOptions
from vqbench.run.machine import has_nvidia_gpu, memory_bytes, usable_cores
from vqbench.run.progress import Display, choose_display
from vqbench.run.schedule import Task
from vqbench.run.skeleton import failure_record
from vqbench.run.summary import FailedCell, RunSummary

__all__ = ["ENTRY", "run_plan"]

ENTRY = "vqbench.worker.job:run_job"
MEMORY_PER_JOB = 2 << 30


def run_plan(
    plan: Plan,
    *,
    options: WorkerOptions,
    jobs: int | None = None,
    timeout: float | None = None,
    force: bool = False,
    fail_fast: bool = False,
    quiet: bool = False,
    display: Display | None = None,
    entry: str = ENTRY,
) -> RunSummary:
    """Train, convert and evaluate the cells that have no good record yet.

    Args:
        plan: what to do; its suite's folder in ``options.results`` takes the records.
        options: handed to the workers.
        jobs: training runs at a time; by default one on a GPU, else as many as there are cores, units and memory for. The
            cores are shared evenly between them. Evaluation runs one cell at a time, because it measures speed.
        timeout: seconds a training run or an evaluation may take; None for no limit.
        force: forget earlier records and checkpoints of these cells first.
        fail_fast: stop at the first failure.
        quiet: show warnings only.
        display: shows progress; chosen for standard error if None.
        entry: ``"package.module:function"`` that does a job in the worker.

    Raises:
        ResultsError: the results folder cannot be used, or another run uses it.
        KeyboardInterrupt: the run was interrupted; records say which cells were.
    """
    began = time.monotonic()
    folder = ResultsFolder(options.results, plan.suite)
    folder.prepare()
    with folder.locked(), display or choose_display(quiet=quiet) as shown:
        if force:
            _forget(plan, folder)
        cached = what_is_cached(plan, folder)
        for record in cached.broken:
            _set_aside(record, shown)
        tasks = _tasks(plan, cached, options)
        keeper = _RecordKeeper(plan, folder, shown, cached)
        if tasks:
            shown.begin(tasks, cached=len(cached.cells))
            at_a_time = jobs or _default_jobs(plan, options.device)
            executor_options = ExecutorOptions(
                entry=entry,
                log_path=folder.log_path,
                jobs=at_a_time,
                timeout=timeout,
                fail_fast=fail_fast,
                preload=(entry.partition(":")[0], "vqbench.ops", *_modules(plan)),
            )
            Executor(executor_options, keeper).execute(tasks)
    return keeper.summary(time.monotonic() - began)


def _modules(plan: Plan) -> list[str]:
    """Where the plan's built-in components lie: what they import is imported once for all workers."""
    units = [cell.unit for cell in plan.cells]
    parts = [part for unit in units for part in (unit.dataset, unit.backbone, unit.quantizer)]
    parts += [cell.quantizer for cell in plan.cells] + list(plan.metrics)
    return list(dict.fromkeys(part.module for part in parts if part.module))


def _tasks(plan: Plan, cached: Cached, options: WorkerOptions) -> list[Task]:
    """The jobs that are left: a unit's training goes before the cells that need it."""
    cells = [cell for cell in plan.cells if cell.id not in cached.cells]
    users: dict[str, list[Cell]] = {}
    for cell in cells:
        if cell.unit.id not in cached.units:
            users.setdefault(cell.unit.id, []).append(cell)
    training = {
        unit: Task(job=TrainJob(unit=needed_by[0].unit, name=_training_name(needed_by), options=options))
        for unit, needed_by in users.items()
    }
    evaluation = [
        Task(
            job=CellJob(
                cell=cell,
                metrics=plan.metrics,
                batch_size=plan.evaluation_batch_size,
                timing=plan.timing,
                options=options,
            ),
            needs=(training[cell.unit.id].id,) if cell.unit.id in training else (),
            exclusive=True,
        )
        for cell in cells
    ]
    return [*training.values(), *evaluation]


def _training_name(cells: list[Cell]) -> str:
    """What the training that these cells share is called: after what is trained, and for whom."""
    first = cells[0]
    label = next((cell.label for cell in cells if not cell.converts), None)
    if label is None:
        users = [cell.label for cell in cells[:3]] + ["…"] * (len(cells) > 3)
        label = f"{first.unit.quantizer.name} (for {', '.join(users)})"
    return f"{label} × {first.backbone_label} · {first.dataset_label} · seed {first.unit.seed} (training)"


def _default_jobs(plan: Plan, device: str) -> int:
    """Training runs at a time. Counted on the whole plan, so that going on with a run does not change the thread count,
    and with it the last digits of the numbers."""
    if device.startswith("cuda") or (device == "auto" and has_nvidia_gpu()):
        return 1
    return max(1, min(usable_cores(), len(plan.units), memory_bytes() // MEMORY_PER_JOB))


def _forget(plan: Plan, folder: ResultsFolder) -> None:
    """Remove what earlier runs left of these cells."""
    try:
        for cell in plan.cells:
            folder.record_path(cell.id).unlink(missing_ok=True)
            folder.sample_path(cell.id).unlink(missing_ok=True)
        for unit in plan.units:
            if (checkpoints := folder.checkpoint_path(unit.id)).exists():
                shutil.rmtree(checkpoints)
    except OSError as error:
        raise ResultsError(
            f"{error.filename or folder.path} cannot be removed", got=error.strerror, hint="Remove it yourself."
        ) from error


def _set_aside(record: BrokenRecord, display: Display) -> None:
    """Keep a damaged record under another name, and say so."""
    kept = Path(f"{record.path}.damaged")
    try:
        os.replace(record.path, kept)
    except OSError as error:
        raise ResultsError(f"{record.path} cannot be moved aside", got=error.strerror) from error
    display.warn(f"{record.reason} It is kept as {kept.name}, and the cell runs again.")


class _RecordKeeper:
    """Sees that every cell that was tried has a record, and passes on to the display what happens."""

    def __init__(self, plan: Plan, folder: ResultsFolder, display: Display, cached: Cached) -> None:
        self._plan, self._folder, self._display = plan, folder, display
        self._cached = cached
        self._statuses: dict[str, Status] = dict.fromkeys(cached.cells, "ok")
        self._failed: list[FailedCell] = []
        self._trained = 0
        self._started: dict[str, tuple[datetime.datetime, float]] = {}

    def on_start(self, task: Task) -> None:
        self._started[task.id] = (_now(), time.monotonic())
        self._display.on_start(task)

    def on_progress(self, task: Task, progress: Progress) -> None:
        self._display.on_progress(task, progress)

    def on_interrupt(self) -> None:
        self._display.on_interrupt()

    def on_done(self, task: Task) -> None:
        if not isinstance(task.job, CellJob):
            self._trained += 1
        elif self._is_good(task.job.cell):
            self._statuses[task.job.cell.id] = "ok"
        else:
            self.on_failure(task, _no_record())
            return
        self._display.on_done(task)

    def on_failure(self, task: Task, failure: Failure) -> None:
        if isinstance(task.job, CellJob):
            cell = task.job.cell
            if self._is_good(cell):  # it was stopped, or died, after it had written its record
                self._statuses[cell.id] = "ok"
                self._display.on_done(task)
                return
            self._statuses[cell.id] = failure.status
            self._failed.append(FailedCell(name=cell.name, status=failure.status, message=failure.message))
            self._keep(task, cell, failure)
        self._display.on_failure(task, failure)

    def summary(self, seconds: float) -> RunSummary:
        """What has come of the plan's cells."""
        return RunSummary(
            counts=Counter(self._statuses.values()),
            cached=len(self._cached.cells),
            not_run=len(self._plan.cells) - len(self._statuses),
            trained=self._trained,
            skipped=len(self._plan.skips),
            seconds=seconds,
            failed=tuple(self._failed),
        )

    def _is_good(self, cell: Cell) -> bool:
        try:
            return satisfies(self._folder.read(cell.id), self._plan)
        except RecordError:
            return False

    def _keep(self, task: Task, cell: Cell, failure: Failure) -> None:
        """Write the record of a failed cell. An interruption does not displace the numbers of an earlier run."""
        try:
            if failure.status == "interrupted":
                earlier = self._folder.read(cell.id)
                if earlier is not None and earlier.status == "ok":
                    return
        except RecordError:
            pass
        started, began = self._started.get(task.id, (_now(), time.monotonic()))
        record = failure_record(
            cell, suite=self._plan.suite, failure=failure, started=started, seconds=time.monotonic() - began
        )
        try:
            self._folder.write(record)
        except ResultsError as error:  # a full disk: the other cells' numbers may still fit
            self._display.warn(str(error))


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _no_record() -> Failure:
    return Failure(
        status="failed",
        stage="record",
        kind="RecordMissing",
        message="the worker ended well but left no complete record",
    )
