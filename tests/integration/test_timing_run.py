"""A suite with a ``[timing]`` table and no training: from the run to the throughput board."""

from __future__ import annotations

from pathlib import Path

from vqbench.catalog import Catalog, CatalogOptions
from vqbench.leaderboard import make_leaderboard
from vqbench.leaderboard.layout import remarks
from vqbench.plan import Suite, build_plan, load_suite
from vqbench.results import CellRecord, ResultsFolder
from vqbench.run.cached import satisfies
from vqbench.run.job import CellJob, TrainJob, WorkerOptions
from vqbench.worker.job import run_job

CATALOG = CatalogOptions(autoload=False)


def throughput_suite() -> Suite:
    """The bundled suite with its tiny preset, and budgets that are too short to mean anything."""
    path = Catalog.load(CATALOG).suite("throughput").spec.path
    overrides = ("data.image_size=64", "backbones.preset=tiny", "timing.batch_sizes=[1,2]", "timing.seconds=0.01")
    return load_suite(path, [*overrides, 'timing.dtypes=["fp32","tf32"]', "evaluation.batch_size=2"])


def test_an_untrained_suite_is_timed_in_all_its_settings(tmp_path: Path) -> None:
    suite = throughput_suite().model_copy(update={"seeds": [0]})
    chosen = [entry for entry in suite.quantizers if entry.name in ("fsq", "vq_vae_2", "gaussian_vae")]
    suite = suite.model_copy(update={"quantizers": chosen, "backbones": suite.backbones[:1]})
    plan = build_plan(suite, Catalog.load(CATALOG))
    options = WorkerOptions(suite=plan.suite, results=tmp_path, catalog=CATALOG, device="cpu")
    folder = ResultsFolder(tmp_path, plan.suite)
    folder.prepare()
    records: list[CellRecord] = []
    for cell in plan.cells:
        run_job(TrainJob(unit=cell.unit, name=cell.label, options=options), lambda progress: None, 1)
        told = []
        job = CellJob(
            cell=cell, metrics=plan.metrics, batch_size=plan.evaluation_batch_size, timing=plan.timing, options=options
        )
        run_job(job, told.append, 1)
        assert [p.total for p in told if p.stage == "time"] == [16] * 16
        record = folder.read(cell.id)
        assert record is not None
        assert satisfies(record, plan)
        records.append(record)

    for record in records:
        assert len(record.timings) == 4 * 2 * 2
        assert all(t.images_per_second is None and t.reason for t in record.timings if t.dtype == "tf32")
        assert record.environment is not None
        assert record.environment.batch_size == 2
        assert {t.fingerprint for t in record.timings if t.dtype == "fp32"} == {record.environment.fingerprint}
        assert not any(metric.board == "quality" for metric in record.metrics.values())
        assert not any(slot.dead for slot in record.code_usage)  # nothing was looked for in untrained networks

    quality, speed = make_leaderboard(records, boards=["quality", "throughput"]).boards
    assert quality.groups == ()
    coded = [group for group in speed.groups if group.rate.bits is not None]
    assert sorted((g.environment.dtype, g.batch_size) for g in coded if g.environment) == [
        ("float32", 1),
        ("float32", 2),
        ("tf32", 1),
        ("tf32", 2),
    ]
    for group in coded:
        assert len(group.rows) == 2
        assert "untrained, so no quality beside speed" in remarks(group)
