"""Which task may start next, for any set of tasks."""

from __future__ import annotations

import pytest
from fake_worker import Task, task
from hypothesis import given
from hypothesis import strategies as st

from vqbench.run.schedule import Schedule


@st.composite
def task_sets(draw: st.DrawFn) -> list[Task]:
    """Tasks that need only earlier ones, shuffled."""
    tasks: list[Task] = []
    for n in range(draw(st.integers(0, 8))):
        needs = draw(st.sets(st.sampled_from([t.id for t in tasks]), max_size=3)) if tasks else set()
        tasks.append(task(f"t{n}", needs=tuple(sorted(needs)), exclusive=draw(st.booleans())))
    return draw(st.permutations(tasks))


@given(task_sets(), st.integers(1, 4), st.data())
def test_every_task_ends_once_and_in_order_within_the_limits(tasks: list[Task], jobs: int, data: st.DataObject) -> None:
    schedule = Schedule(tasks, jobs)
    running: list[Task] = []
    started: list[str] = []
    done: set[str] = set()
    lost: set[str] = set()
    while True:
        while (new := schedule.start()) is not None:
            assert done.issuperset(new.needs)
            running.append(new)
            started.append(new.id)
        assert len(running) <= jobs
        if any(t.exclusive for t in running):
            assert len(running) == 1
            ready = [t for t in schedule.waiting if done.issuperset(t.needs)]
            assert all(t.exclusive for t in ready)  # what can share the machine goes first
        if not running:
            break
        ended = running.pop(data.draw(st.integers(0, len(running) - 1)))
        if data.draw(st.booleans()):
            schedule.done(ended)
            done.add(ended.id)
        else:
            lost.add(ended.id)
            dropped = {t.id for t in schedule.fail(ended)}
            assert not dropped & (done | lost)
            lost |= dropped
    assert done | lost == {t.id for t in tasks}
    assert len(started) == len(set(started))
    assert all((not lost.isdisjoint(t.needs)) <= (t.id in lost) for t in tasks)
    assert not schedule.waiting


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        ([task("a"), task("a")], "same id"),
        ([task("a", needs=("b",))], "not there"),
        ([task("a", needs=("b",)), task("b", needs=("a",))], "circle"),
    ],
)
def test_tasks_that_make_no_sense_are_refused(tasks: list[Task], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Schedule(tasks, 1)
