"""What becomes of the workers when their parent is interrupted or killed. The parent is a process of its own."""

from __future__ import annotations

import ast
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import fake_worker
import pytest
from fake_worker import FakeJob, Task, is_alive, task, wait_until


@contextmanager
def parent(
    folder: Path, tasks: list[Task], *, jobs: int = 2, preload: tuple[str, ...] = ()
) -> Iterator[subprocess.Popen[bytes]]:
    (folder / "tasks").write_bytes(pickle.dumps(tasks))
    command = [sys.executable, fake_worker.__file__, str(folder), str(jobs), *preload]
    with subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True) as process:
        try:
            yield process
        finally:
            process.kill()


def outcome(folder: Path) -> tuple[list[str], dict[str, str], bool]:
    """Jobs done, statuses of failed jobs, whether the parent imported torch."""
    done, failed, torch = ast.literal_eval((folder / "outcome").read_text())
    return done, failed, torch


def pid(job: FakeJob, word: str = "pid") -> int:
    assert wait_until(lambda: job.mark(word).exists() and job.mark(word).read_text() != "")
    return int(job.mark(word).read_text())


@pytest.mark.parametrize("action", ["hang_on", "hang_in_c"])
def test_workers_die_with_a_killed_parent(tmp_path: Path, action: str) -> None:
    job = FakeJob(id="a", action=action, folder=tmp_path)
    with parent(tmp_path, [Task(job=job)]) as process:
        victims = [pid(job)]
        if action == "hang_in_c":
            victims.append(pid(job, "child"))
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        assert wait_until(lambda: not any(map(is_alive, victims)), 10)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_lets_its_workers_save_and_exits(tmp_path: Path, number: signal.Signals) -> None:
    tasks = [
        task("a", "hang", folder=tmp_path),
        Task(job=FakeJob(id="b", action="hang_on", folder=tmp_path, seconds=1)),
        task("cell", needs=("a",), exclusive=True),
        task("late"),
    ]
    with parent(tmp_path, tasks) as process:
        pid(tasks[1].job)
        assert wait_until((tmp_path / "a.ready").exists)
        os.killpg(process.pid, number)  # as a terminal does: to the whole group
        assert process.wait(20) == 130
    done, failed, _ = outcome(tmp_path)
    assert failed == {"a": "interrupted", "cell": "interrupted"}
    assert done == ["b"]  # deaf, but it came to its end in time
    assert (tmp_path / "a.saved").exists()


def test_a_second_interrupt_kills(tmp_path: Path) -> None:
    job = FakeJob(id="a", action="hang_in_c", folder=tmp_path)
    with parent(tmp_path, [Task(job=job)]) as process:
        worker = pid(job)
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)  # the worker has its grace
        process.send_signal(signal.SIGINT)
        assert process.wait(3) == 130
        assert not is_alive(worker)
    assert outcome(tmp_path)[1] == {"a": "interrupted"}


def test_a_module_is_imported_once_for_all_workers_and_not_by_the_parent(tmp_path: Path) -> None:
    tasks = [task(name, "note_surroundings", folder=tmp_path) for name in "ab"]
    with parent(tmp_path, tasks, preload=("torch",)) as process:
        assert process.wait(60) == 0
    seen = [ast.literal_eval((tmp_path / f"{name}.seen").read_text()) for name in "ab"]
    assert [torch for _, _, torch, _ in seen] == [True, True]
    assert seen[0][3] == seen[1][3]  # forked from the same server
    assert outcome(tmp_path)[2] is False


BREAKS = "raise RuntimeError('broken at import')"
CRASHES = "import os; os.abort()"


@pytest.mark.parametrize("text", [BREAKS, CRASHES])
def test_a_preloaded_module_that_breaks_does_not_break_the_jobs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    (tmp_path / "breaks_at_import.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with parent(tmp_path, [task("a", "print_much"), task("b")], preload=("breaks_at_import",)) as process:
        assert process.wait(60) == 0
    assert outcome(tmp_path)[:2] == (["b"], {"a": "failed"})
    if text is BREAKS:
        assert "broken at import" in (tmp_path / "a.log").read_text()
