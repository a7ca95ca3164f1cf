"""Which task may start next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

__all__ = ["Schedule", "Task", "Work"]


class Work(Protocol):
    """What the executor needs to know of a job; the worker gets it pickled."""

    @property
    def id(self) -> str:
        """Unique within a run, usable as a file name."""

    @property
    def name(self) -> str:
        """For people."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """A job, the ids of the jobs it needs, and whether it must run alone, as whatever measures time must."""

    job: Work
    needs: tuple[str, ...] = ()
    exclusive: bool = False

    @property
    def id(self) -> str:
        """The job's id."""
        return self.job.id


class Schedule:
    """Keeps account of what waits, runs and has ended.

    Tasks that may share the machine go first, at most ``jobs`` at a time; exclusive ones go one by one, with nothing
    beside them. Tasks of a kind start in the order given.

    Args:
        tasks: with unique ids, each needing only tasks among them.
        jobs: how many may run at a time.

    Raises:
        ValueError: two tasks have the same id, one needs an unknown task, or they need each other in a circle.
    """

    def __init__(self, tasks: Sequence[Task], jobs: int) -> None:
        self._waiting = {task.id: task for task in tasks}
        if len(self._waiting) != len(tasks):
            raise ValueError("two tasks have the same id")
        if jobs < 1:
            raise ValueError(f"jobs must be at least 1, not {jobs}")
        self._jobs = jobs
        self._running: dict[str, Task] = {}
        self._done: set[str] = set()
        _check_order(tasks)

    @property
    def waiting(self) -> tuple[Task, ...]:
        """Tasks that have not started."""
        return tuple(self._waiting.values())

    def start(self) -> Task | None:
        """Take the next task that may start now, or None."""
        if any(task.exclusive for task in self._running.values()) or len(self._running) >= self._jobs:
            return None
        ready = [task for task in self._waiting.values() if self._done.issuperset(task.needs)]
        task = next((task for task in ready if not task.exclusive), None)
        if task is None and not self._running:
            task = next(iter(ready), None)
        if task is not None:
            self._running[task.id] = self._waiting.pop(task.id)
        return task

    def done(self, task: Task) -> None:
        """A running task has ended well."""
        del self._running[task.id]
        self._done.add(task.id)

    def fail(self, task: Task) -> list[Task]:
        """A running task has failed: drop and return the waiting tasks that need it, directly or not."""
        del self._running[task.id]
        lost = {task.id}
        dropped: list[Task] = []
        while victims := [w for w in self._waiting.values() if not lost.isdisjoint(w.needs)]:
            for victim in victims:
                lost.add(victim.id)
                dropped.append(self._waiting.pop(victim.id))
        return dropped


def _check_order(tasks: Sequence[Task]) -> None:
    reached: set[str] = set()
    rest = list(tasks)
    while rest:
        ready = [task for task in rest if reached.issuperset(task.needs)]
        if not ready:
            raise ValueError(f"task {rest[0].id} needs a task that is not there, or itself in a circle")
        reached.update(task.id for task in ready)
        rest = [task for task in rest if task.id not in reached]
