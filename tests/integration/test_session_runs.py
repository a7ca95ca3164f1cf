"""Running plans: what is done again and what is not, and which records are left. The work is faked, the processes are real."""

from __future__ import annotations

import io
import multiprocessing.forkserver
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_session import ENTRY, make_options, make_plan

from vqbench.errors import ResultsError
from vqbench.plan import Component, Plan
from vqbench.results import CellRecord, ResultsFolder
from vqbench.run.cached import what_lacks_weights
from vqbench.run.executor import Executor
from vqbench.run.job import Progress
from vqbench.run.progress import PlainDisplay
from vqbench.run.schedule import Task
from vqbench.run.session import run_plan
from vqbench.run.summary import RunSummary
from vqbench.testing.fresh_process import IMPORTED


def run(plan: Plan, results: Path, **options: Any) -> tuple[RunSummary, str]:
    """The summary, and what the user was shown."""
    stream = io.StringIO()
    options = {"display": PlainDisplay(stream), "entry": ENTRY, "jobs": 2} | options
    summary = run_plan(plan, options=make_options(results), **options)
    return summary, stream.getvalue()


def jobs_run(results: Path) -> list[str]:
    """The kinds of the jobs that workers have done since the last call."""
    path = results / "fake" / "jobs-run"
    text = path.read_text() if path.exists() else ""
    path.unlink(missing_ok=True)
    return [line.partition("-")[0] for line in text.splitlines()]


def record(plan: Plan, results: Path, index: int = 0) -> CellRecord:
    found = ResultsFolder(results, "fake").read(plan.cells[index].id)
    assert found is not None
    return found


def test_every_cell_gets_a_record_and_a_shared_training_runs_once(tmp_path: Path) -> None:
    plan = make_plan("fsq", "gq-16", "gq-256")
    summary, shown = run(plan, tmp_path)
    assert (summary.counts, summary.cached, summary.trained, summary.exit_code) == ({"ok": 3}, 0, 2, 0)
    assert jobs_run(tmp_path) == ["train", "train", "cell", "cell", "cell"]
    assert [record(plan, tmp_path, i).status for i in range(3)] == ["ok"] * 3
    assert "gaussian-vae (for gq-16, gq-256) × unet · photos · seed 0 (training)" in shown
    assert "Cells: 3 ok. Trained 2" in summary.text()


def test_a_second_run_starts_no_worker_and_no_fork_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = make_plan("fsq", "gq-16")
    run(plan, tmp_path)
    jobs_run(tmp_path)
    before = record(plan, tmp_path)

    def forbidden(*args: object) -> None:
        raise AssertionError("a fork server was asked for")

    monkeypatch.setattr(multiprocessing.forkserver._forkserver, "ensure_running", forbidden)
    summary, _ = run(plan, tmp_path)
    assert (summary.counts, summary.cached, summary.trained, summary.exit_code) == ({"ok": 2}, 2, 0, 0)
    assert jobs_run(tmp_path) == []
    assert record(plan, tmp_path) == before


def test_a_null_for_want_of_weights_is_measured_when_they_are_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VQBENCH_ASSETS", str(tmp_path))
    made = make_plan(("fsq", "lacks weights at first"), "gq-16")
    plan = replace(made, metrics=(replace(made.metrics[0], weights=("lpips_alex", "lpips_vgg")),))
    summary, _ = run(plan, tmp_path)
    assert (summary.counts, summary.exit_code) == ({"ok": 2}, 0)
    assert record(plan, tmp_path).metrics["psnr"].unavailable
    jobs_run(tmp_path)

    (tmp_path / "lpips_alex.pth").write_bytes(b"one of the two")
    assert run(plan, tmp_path)[0].cached == 2
    assert jobs_run(tmp_path) == []
    assert "`vqbench weights fetch lpips_vgg` gets them" in (what_lacks_weights(plan) or "")

    (tmp_path / "lpips_vgg.pth").write_bytes(b"the other")
    assert what_lacks_weights(plan) is None
    assert run(plan, tmp_path)[0].trained == 0
    assert jobs_run(tmp_path) == ["cell"]  # the other cell lacked nothing
    assert record(plan, tmp_path).metrics["psnr"].value == 25.0


def test_what_lacks_weights_is_said_of_metrics_and_training_runs() -> None:
    plan = make_plan("fsq", "vq")
    assert what_lacks_weights(plan) is None
    metrics = (*plan.metrics, Component(id="vqbench/rfid", version=1, parameters={}, weights=("inception",)))
    said = what_lacks_weights(replace(plan, metrics=metrics))
    assert said == "rfid will be null for want of weights: `vqbench weights fetch inception` gets them"
    cells = tuple(replace(c, unit=replace(c.unit, recipe=c.unit.recipe | {"lpips_weight": 1.0})) for c in plan.cells)
    said = what_lacks_weights(replace(plan, cells=cells, metrics=metrics))
    assert said is not None
    assert said.startswith("rfid will be null and 2 training runs cannot start (recipe.lpips_weight) for want")
    assert "`vqbench weights fetch inception lpips_vgg`" in said


def test_a_new_metric_or_version_evaluates_again_without_training(tmp_path: Path) -> None:
    run(make_plan("fsq"), tmp_path)
    jobs_run(tmp_path)
    more = make_plan("fsq", metrics=("vqbench/psnr", "other/ssim"))
    assert run(more, tmp_path)[0].trained == 0
    assert jobs_run(tmp_path) == ["cell"]
    assert set(record(more, tmp_path).metrics) == {"psnr", "other/ssim"}
    run(make_plan("fsq", version=2), tmp_path)
    assert jobs_run(tmp_path) == ["cell"]


def test_only_what_is_missing_runs(tmp_path: Path) -> None:
    run(make_plan("fsq", "gq-16"), tmp_path)
    jobs_run(tmp_path)
    summary, _ = run(make_plan("fsq", "gq-16", "gq-256", "lfq"), tmp_path)
    assert jobs_run(tmp_path) == ["train", "cell", "cell"]
    assert (summary.counts, summary.cached) == ({"ok": 4}, 2)


def test_a_failed_training_is_on_record_in_its_cells_only(tmp_path: Path) -> None:
    plan = make_plan(("bad", "fails in training"), "good")
    summary, shown = run(plan, tmp_path)
    bad = record(plan, tmp_path)
    assert bad.failure is not None
    assert (bad.status, bad.failure.stage, bad.failure.kind) == ("failed", "train", "DataError")
    assert bad.failure.message == "Half of the images are missing. Look under the sofa."
    assert "DataError" in bad.failure.stderr
    assert (bad.quantizer.label, bad.bits_per_image) == ("bad", pytest.approx(4 * (4 + 3.584962500721156)))
    assert record(plan, tmp_path, 1).status == "ok"
    assert (summary.counts, summary.exit_code) == ({"failed": 1, "ok": 1}, 1)
    assert [cell.name for cell in summary.failed] == ["bad × unet · photos · seed 0"]
    assert "Half of the images are missing" in summary.text()
    assert "FAILED   bad × unet · photos · seed 0 (training): failed (train): Half of the images" in shown


def test_a_failed_record_does_not_satisfy_a_resume(tmp_path: Path) -> None:
    plan = make_plan(("bad", "fails in evaluation"))
    run(plan, tmp_path)
    jobs_run(tmp_path)
    assert run(plan, tmp_path)[0].counts == {"failed": 1}
    assert jobs_run(tmp_path) == ["cell"]  # the training was sound


def test_a_worker_without_a_record_has_failed(tmp_path: Path) -> None:
    plan = make_plan(("lazy", "leaves no record"))
    assert run(plan, tmp_path)[0].counts == {"failed": 1}
    failure = record(plan, tmp_path).failure
    assert failure is not None
    assert failure.kind == "RecordMissing"


def test_a_worker_that_fails_after_its_record_does_not_spoil_it(tmp_path: Path) -> None:
    plan = make_plan(("late", "dies after its record"))
    assert run(plan, tmp_path)[0].counts == {"ok": 1}
    assert record(plan, tmp_path).status == "ok"


def test_a_damaged_record_is_kept_aside_and_replaced(tmp_path: Path) -> None:
    plan = make_plan("fsq")
    run(plan, tmp_path)
    path = ResultsFolder(tmp_path, "fake").record_path(plan.cells[0].id)
    path.write_text('{"schema_version": 1')
    summary, shown = run(plan, tmp_path)
    assert (summary.counts, summary.cached) == ({"ok": 1}, 0)
    assert Path(f"{path}.damaged").read_text() == '{"schema_version": 1'
    assert shown.count("warning:") == 1
    assert path.name in shown


def test_force_trains_and_evaluates_again(tmp_path: Path) -> None:
    everything = make_plan("fsq", "lfq")
    run(everything, tmp_path)
    jobs_run(tmp_path)
    run(make_plan("fsq"), tmp_path, force=True)
    assert jobs_run(tmp_path) == ["train", "cell"]
    assert run(everything, tmp_path)[0].cached == 2


def test_a_timeout_is_on_record(tmp_path: Path) -> None:
    plan = make_plan(("slow", "hangs in training"))
    assert run(plan, tmp_path, timeout=1.0)[0].counts == {"timeout": 1}
    assert record(plan, tmp_path).status == "timeout"


def test_fail_fast_leaves_the_rest(tmp_path: Path) -> None:
    plan = make_plan(("bad", "fails in training"), "lfq", "fsq")
    summary, _ = run(plan, tmp_path, fail_fast=True, jobs=1)
    assert (summary.counts, summary.not_run, summary.exit_code) == ({"failed": 1}, 2, 1)


class Interrupting(PlainDisplay):
    """Does what Ctrl-C does, once the stage has begun."""

    def __init__(self, stage: str) -> None:
        super().__init__(io.StringIO())
        self.stage: str | None = stage

    def on_progress(self, task: Task, progress: Progress) -> None:
        if progress.stage == self.stage:
            self.stage = None
            os.kill(os.getpid(), signal.SIGINT)


def test_an_interrupt_is_on_record(tmp_path: Path) -> None:
    plan = make_plan(("slow", "hangs in training"), "lfq")
    with pytest.raises(KeyboardInterrupt):
        run(plan, tmp_path, display=Interrupting("train"), jobs=1)
    assert record(plan, tmp_path).status == "interrupted"
    assert ResultsFolder(tmp_path, "fake").read(plan.cells[1].id) is None
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_does_not_displace_the_numbers_of_an_earlier_run(tmp_path: Path) -> None:
    plan = make_plan(("slow", "hangs in its second evaluation"))
    run(plan, tmp_path)
    more = make_plan(("slow", "hangs in its second evaluation"), metrics=("vqbench/psnr", "vqbench/ssim"))
    with pytest.raises(KeyboardInterrupt):
        run(more, tmp_path, display=Interrupting("evaluate"))
    assert record(plan, tmp_path).status == "ok"
    assert run(more, tmp_path, timeout=1.0)[0].counts == {"timeout": 1}
    assert record(plan, tmp_path).status == "timeout"


def test_two_runs_do_not_share_a_folder(tmp_path: Path) -> None:
    folder = ResultsFolder(tmp_path, "fake")
    folder.prepare()
    with folder.locked(), pytest.raises(ResultsError, match="Another vqbench run"):
        run(make_plan("fsq"), tmp_path)


def test_what_built_in_components_import_is_imported_once_for_all_workers(tmp_path, monkeypatch):
    preloads = []

    class Watched(Executor):
        def __init__(self, options, listener):
            preloads.append(options.preload)
            super().__init__(options, listener)

    monkeypatch.setattr("vqbench.run.session.Executor", Watched)
    plan = make_plan("fsq")
    backbone = replace(plan.cells[0].unit.backbone, module="a_backbone")  # which is none: a worker would say so
    cells = [replace(cell, unit=replace(cell.unit, backbone=backbone)) for cell in plan.cells]
    summary, _ = run(replace(plan, cells=cells), tmp_path)
    assert summary.exit_code == 0
    assert preloads == [("fake_session", "vqbench.ops", "a_backbone")]


def test_a_worker_imports_no_network_that_its_job_does_without():
    code = f"import sys, vqbench.worker.job, vqbench.ops; print({IMPORTED})"
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert out.split() == ["torch"]
