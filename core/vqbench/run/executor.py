"""Runs tasks in isolated worker processes: one that hangs, raises or dies costs only its own task."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import wait
from pathlib import Path
from typing import Protocol

from vqbench.run.failures import explain
from vqbench.run.handle import Worker, start_worker
from vqbench.run.interrupts import Interrupts
from vqbench.run.job import Failure, Progress
from vqbench.run.machine import usable_cores
from vqbench.run.schedule import Schedule, Task

__all__ = ["Executor", "ExecutorOptions", "Listener"]

LONGEST_WAIT = 1.0
"""Seconds between two looks at the size of the logs."""


class Listener(Protocol):
    """Is told what happens, in the caller's thread."""

    def on_start(self, task: Task) -> None: ...

    def on_progress(self, task: Task, progress: Progress) -> None: ...

    def on_done(self, task: Task) -> None: ...

    def on_failure(self, task: Task, failure: Failure) -> None:
        """The task failed, or one that it needs did and it never started."""

    def on_interrupt(self) -> None:
        """The run was asked to stop and waits for its workers; the next request kills them."""


@dataclass(frozen=True, kw_only=True)
class ExecutorOptions:
    """How tasks are run.

    Attributes:
        entry: ``"package.module:function"``, called in the worker as ``function(job, report, threads)``.
        log_path: where a job's output goes, from its id.
        jobs: how many tasks run at a time, exclusive ones aside.
        cores: shared by the tasks that run at a time; an exclusive one gets all.
        timeout: seconds a job may take; None for no limit.
        fail_fast: stop everything at the first failure.
        preload: modules that the fork server imports once for all workers.
        memory_limit_bytes: limit of each worker's address space; None for no limit.
        grace: seconds between the request to stop, after a timeout or an interruption, and the kill.
    """

    entry: str
    log_path: Callable[[str], Path]
    jobs: int = 1
    cores: int | None = None
    timeout: float | None = None
    fail_fast: bool = False
    preload: tuple[str, ...] = ()
    memory_limit_bytes: int | None = None
    grace: float = 10.0


class Executor:
    """Runs tasks with their dependencies, one isolated process each.

    A task that fails takes those that need it with it and no other. Ctrl-C, SIGTERM and SIGHUP ask the workers to stop,
    so that they can save what they have, and kill them ``grace`` seconds later; a second one kills them at once. Should
    this process be killed, its workers die with it.
    """

    def __init__(self, options: ExecutorOptions, listener: Listener) -> None:
        self._options = options
        self._listener = listener
        self._cores = options.cores or usable_cores()
        self._running: list[Worker] = []
        self._stopping = False

    def execute(self, tasks: Sequence[Task]) -> None:
        """Run tasks until none is left that can run.

        Raises:
            ValueError: the tasks' ids or needs make no sense.
            KeyboardInterrupt: the run was interrupted; what was running has been stopped and reported as interrupted.
        """
        schedule = Schedule(tasks, self._options.jobs)
        self._stopping = False
        with Interrupts() as interrupts:
            try:
                handled = 0
                while True:
                    if interrupts.count > handled:
                        handled = interrupts.count
                        self._interrupt()
                    if not self._stopping:
                        self._start_ready(schedule, interrupts)
                    if not self._running:
                        break
                    self._wait(interrupts)
                    self._collect(schedule)
            finally:
                for worker in self._running:  # only if a listener raised
                    worker.kill()
                self._running.clear()
        if interrupts.count:
            raise KeyboardInterrupt

    def _start_ready(self, schedule: Schedule, interrupts: Interrupts) -> None:
        while not self._stopping and not interrupts.count and (task := schedule.start()):
            self._listener.on_start(task)
            try:
                worker = interrupts.immediate(partial(self._start, task))
            except (Exception, KeyboardInterrupt) as error:
                self._fail(task, explain(error, "start"), schedule)
            else:
                self._running.append(worker)

    def _start(self, task: Task) -> Worker:
        options = self._options
        return start_worker(
            task,
            entry=options.entry,
            log_path=options.log_path(task.id),
            threads=self._cores if task.exclusive else max(self._cores // options.jobs, 1),
            preload=options.preload,
            timeout=options.timeout,
            grace=options.grace,
            memory_limit_bytes=options.memory_limit_bytes,
        )

    def _wait(self, interrupts: Interrupts) -> None:
        now = time.monotonic()
        deadlines = [at for worker in self._running if (at := worker.wake_at) is not None]
        seconds = min([LONGEST_WAIT, *(at - now for at in deadlines)])
        wait([interrupts.fd, *(w for worker in self._running for w in worker.waitables)], max(seconds, 0))
        interrupts.clear()

    def _collect(self, schedule: Schedule) -> None:
        """Pass on news, enforce limits, and settle the accounts of workers that have ended."""
        for worker in list(self._running):
            for progress in worker.read():
                self._listener.on_progress(worker.task, progress)
            if not worker.tend():
                continue
            self._running.remove(worker)
            failure = worker.close()
            if failure is None:
                schedule.done(worker.task)
                self._listener.on_done(worker.task)
            else:
                self._fail(worker.task, failure, schedule)

    def _fail(self, task: Task, failure: Failure, schedule: Schedule) -> None:
        for lost in (task, *schedule.fail(task)):
            self._listener.on_failure(lost, failure)
        if self._options.fail_fast and not self._stopping:
            self._stop()

    def _interrupt(self) -> None:
        """A signal came: the first stops the workers, a later one kills them."""
        if not self._stopping:
            self._listener.on_interrupt()
            self._stop()
        else:
            for worker in self._running:
                worker.kill()

    def _stop(self) -> None:
        self._stopping = True
        for worker in self._running:
            worker.stop("interrupted")
