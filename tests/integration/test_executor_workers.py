"""The executor with real worker processes that fail in every way."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from fake_worker import ENTRY, Listener, Task, is_alive, task, wait_until

from vqbench.run.executor import Executor, ExecutorOptions


def execute(tasks: Sequence[Task], folder: Path, **options: Any) -> Listener:
    listener = Listener()
    options = {"entry": ENTRY, "cores": 2} | options
    Executor(ExecutorOptions(log_path=lambda id: folder / f"{id}.log", **options), listener).execute(tasks)
    return listener


def test_a_job_reports_progress_and_its_end(tmp_path: Path) -> None:
    listener = execute([task("a")], tmp_path)
    assert listener.events == [("start", "a"), ("done", "a")]
    assert [(p.stage, p.done, p.total, p.detail) for _, p in listener.progress] == [
        ("train", 1, 2, "loss 0.5"),
        ("train", 2, 2, ""),
    ]


@pytest.mark.parametrize(
    ("action", "status", "stage", "kind", "message"),
    [
        ("fail", "failed", "evaluate", "DataError", "The images are odd: got 3 eyes, expected 2"),
        ("break_down", "failed", "start", "ZeroDivisionError", "by \x00 nothing ?"),
        ("lack", "unavailable", "start", "UnavailableError", "No such weights here"),
        ("leave", "failed", "start", "SystemExit", "exit('enough')"),
        ("vanish", "failed", "start", "WorkerDied", "exited with code 3"),
        ("vanish_in_a_plugin", "failed", "start", "WorkerDied", "a result; it was in plugin 'mine': import"),
        ("interrupt_itself", "failed", "start", "KeyboardInterrupt", "though nobody interrupted it"),
        ("mumble", "failed", "start", "Mute", "Mute: (its message cannot be printed)"),
        ("kill_itself", "failed", "train", "WorkerKilled", "killed by signal 9 (SIGKILL)"),
        ("crash", "failed", "start", "WorkerKilled", "killed by signal 11 (SIGSEGV)"),
        ("complain_as_torch_does", "out_of_memory", "start", "ValueError", "training failed"),
        ("report_nonsense", "failed", "start", "ValueError", "'dancing'"),
    ],
)
def test_a_failure_says_what_happened_and_costs_only_itself(
    tmp_path: Path, action: str, status: str, stage: str, kind: str, message: str
) -> None:
    listener = execute([task("bad", action), task("good")], tmp_path)
    failure = listener.failures["bad"]
    assert (failure.status, failure.stage, failure.kind) == (status, stage, kind)
    assert message in failure.message
    assert listener.ended("done") == ["good"]


def test_a_crash_in_c_leaves_its_python_traceback(tmp_path: Path) -> None:
    assert "in crash" in execute([task("a", "crash")], tmp_path).failures["a"].stderr


def test_a_job_out_of_memory_is_told_apart(tmp_path: Path) -> None:
    failure = execute([task("a", "exhaust_memory")], tmp_path, memory_limit_bytes=1 << 35).failures["a"]
    assert (failure.status, failure.stage, failure.kind) == ("out_of_memory", "train", "MemoryError")
    assert "exhaust_memory" in failure.traceback
    assert failure.message.startswith("MemoryError. Lower recipe.batch_size")


def test_an_entry_that_is_not_there_fails_its_job(tmp_path: Path) -> None:
    failure = execute([task("a")], tmp_path, entry="fake_worker_misspelt:run").failures["a"]
    assert failure.status == "failed"
    assert "fake_worker_misspelt" in failure.message


def test_a_job_that_cannot_be_pickled_fails_alone(tmp_path: Path) -> None:
    bad = task("bad", folder=lambda: None)
    listener = execute([bad, task("good")], tmp_path)
    assert listener.failures["bad"].stage == "start"
    assert listener.ended("done") == ["good"]


def test_the_end_of_what_a_job_printed_is_kept(tmp_path: Path) -> None:
    listener = execute([task("a", "print_much")], tmp_path)
    log = (tmp_path / "a.log").read_text()
    assert log.startswith("to standard output\n")
    assert "from a subprocess" in log
    stderr = listener.failures["a"].stderr
    assert len(stderr) <= 64 << 10
    assert stderr.endswith(log[-1000:])
    assert "ValueError: after printing" in stderr


def test_a_log_does_not_fill_the_disk(tmp_path: Path) -> None:
    execute([task("a", "print_without_end")], tmp_path)
    log = (tmp_path / "a.log").read_text()
    assert len(log) < 1 << 20
    assert log.startswith("[what came before was cut off]")
    assert log.endswith("the last word\n")


def test_a_job_over_its_time_may_save_and_is_a_timeout(tmp_path: Path) -> None:
    listener = execute([task("a", "hang", folder=tmp_path), task("b")], tmp_path, timeout=4.0, jobs=2)
    assert listener.failures["a"].status == "timeout"
    assert listener.failures["a"].stage == "train"
    assert "4 seconds" in listener.failures["a"].message
    assert (tmp_path / "a.saved").exists()
    assert listener.ended("done") == ["b"]


def test_a_job_that_does_not_report_is_interrupted_all_the_same(tmp_path: Path) -> None:
    began = time.monotonic()
    assert execute([task("a", "sleep", folder=tmp_path)], tmp_path, timeout=0.5).failures["a"].status == "timeout"
    assert (tmp_path / "a.saved").exists()
    assert time.monotonic() - began < 9.5  # less than the grace


def test_a_deaf_job_is_killed(tmp_path: Path) -> None:
    listener = execute([task("a", "hang_in_a_plugin", folder=tmp_path)], tmp_path, timeout=1.0, grace=0.3)
    assert listener.failures["a"].status == "timeout"
    assert listener.failures["a"].message.endswith("; it was in quantizer 'mine/thing': forward")
    assert not is_alive(int((tmp_path / "a.pid").read_text()))
    assert wait_until(lambda: not is_alive(int((tmp_path / "a.child").read_text())))


def test_a_process_that_lingers_after_its_job_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vqbench.run.handle.SECONDS_TO_EXIT", 0.3)
    began = time.monotonic()
    assert execute([task("a", "leave_a_thread")], tmp_path).ended("done") == ["a"]
    assert time.monotonic() - began < 20


def test_a_fork_server_that_died_is_replaced_and_its_worker_goes_on(tmp_path: Path) -> None:
    listener = execute([task("a", "kill_the_server"), task("b")], tmp_path)
    assert listener.ended("done") == ["a", "b"]


def test_a_failure_fails_those_that_need_it_and_no_other(tmp_path: Path) -> None:
    tasks = [
        task("train", "fail"),
        task("other"),
        task("cell", needs=("train",), exclusive=True),
        task("other-cell", needs=("other",), exclusive=True),
        task("report", needs=("cell", "other-cell")),
    ]
    listener = execute(tasks, tmp_path)
    assert set(listener.failures) == {"train", "cell", "report"}
    assert listener.failures["report"] == listener.failures["train"]
    assert listener.ended("start") == ["train", "other", "other-cell"]
    assert listener.ended("done") == ["other", "other-cell"]


def test_jobs_run_beside_each_other_up_to_the_limit_and_exclusive_ones_alone(tmp_path: Path) -> None:
    tasks = [task("x", "note_interval", folder=tmp_path, seconds=0.1, exclusive=True)]
    tasks += [task(str(n), "note_interval", folder=tmp_path, seconds=0.4) for n in range(4)]
    tasks += [task("y", "note_interval", folder=tmp_path, seconds=0.1, exclusive=True, needs=("0",))]
    execute(tasks, tmp_path, jobs=2)
    spans = {t.id: tuple(map(float, (tmp_path / f"{t.id}.interval").read_text().split())) for t in tasks}

    def beside(id: str) -> int:
        """How many jobs run at the moment this one starts, itself included."""
        return sum(began <= spans[id][0] < ended for began, ended in spans.values())

    assert max(beside(id) for id in spans) == 2
    for id in "xy":
        assert all(other[1] <= spans[id][0] or other[0] >= spans[id][1] for name, other in spans.items() if name != id)


def test_workers_get_their_share_of_the_cores(tmp_path: Path) -> None:
    tasks = [
        task("shared", "note_surroundings", folder=tmp_path),
        task("alone", "note_surroundings", folder=tmp_path, exclusive=True),
    ]
    execute(tasks, tmp_path, jobs=2, cores=4)
    assert (tmp_path / "shared.seen").read_text().startswith("(2, ['2', '2'],")
    assert (tmp_path / "alone.seen").read_text().startswith("(4, ['4', '4'],")
    assert "VQBENCH_FORK_SERVER" not in os.environ


def test_fail_fast_stops_the_rest(tmp_path: Path) -> None:
    listener = Listener()
    options = ExecutorOptions(entry=ENTRY, log_path=lambda id: tmp_path / f"{id}.log", jobs=2, cores=2, fail_fast=True)
    tasks = [task("slow", "hang", folder=tmp_path), task("bad", "hang", folder=tmp_path, seconds=0.5), task("late")]
    tasks[1] = task("bad", "fail")
    Executor(options, listener).execute(tasks)
    assert listener.failures["bad"].status == "failed"
    assert listener.failures["slow"].status == "interrupted"
    assert "late" not in listener.ended("start")


def test_progress_in_abundance_is_thinned_but_ends_whole(tmp_path: Path) -> None:
    listener = execute([task("a", "report_often")], tmp_path)
    steps = [progress.done for _, progress in listener.progress]
    assert steps[0] == 0
    assert steps[-1] == 20_000
    assert len(steps) < 2000
    assert steps == sorted(steps)
