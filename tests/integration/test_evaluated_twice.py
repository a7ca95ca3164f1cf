"""Two evaluations of one checkpoint are the same evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vqbench.catalog import Catalog, CatalogOptions
from vqbench.leaderboard import make_leaderboard
from vqbench.plan import Suite, build_plan
from vqbench.results import CellRecord, ResultsFolder, StoredValues
from vqbench.results.values import read_values
from vqbench.run.job import CellJob, TrainJob, WorkerOptions
from vqbench.worker.job import run_job

CATALOG = CatalogOptions(plugins=("toy_plugin",), strict=True)
METRICS = ["psnr", "psnr_pooled", "mse", "l1"]
SUITE = {
    "schema": 1,
    "name": "toy",
    "evaluation": {"metrics": METRICS, "batch_size": 4},
    "stride": 2,
    "recipe": {"steps": 6, "batch_size": 4, "lr": 1e-2},
    "data": [{"name": "toy_plugin/squares", "image_size": 8, "params": {"count": 10}}],
    "backbones": [{"name": "toy_plugin/convs"}],
    "quantizers": [{"name": "toy_plugin/noisy_vq"}, {"name": "toy_plugin/two_noisy"}],
}


def without_times(record: CellRecord) -> dict[str, Any]:
    kept = record.model_dump(exclude={"started", "seconds", "timings"})
    kept["metrics"] = {name: m for name, m in kept["metrics"].items() if m["board"] != "throughput"}
    return kept


def test_two_evaluations_of_one_checkpoint_are_equal_to_the_last_bit(tmp_path: Path) -> None:
    plan = build_plan(Suite.model_validate(SUITE), Catalog.load(CATALOG))
    options = WorkerOptions(suite="toy", results=tmp_path, catalog=CATALOG, device="cpu")
    folder = ResultsFolder(tmp_path, "toy")
    folder.prepare()
    evaluations = []
    for cell in plan.cells:
        run_job(TrainJob(unit=cell.unit, name=cell.label, options=options), lambda progress: None, 1)
    for _ in range(2):
        for cell in plan.cells:
            job = CellJob(cell=cell, metrics=plan.metrics, batch_size=4, options=options)
            run_job(job, lambda progress: None, 1)
        records = [folder.read(cell.id) for cell in plan.cells]
        values = [folder.values_path(cell.id).read_bytes() for cell in plan.cells]
        evaluations.append(([without_times(record) for record in records if record], values))
    assert evaluations[0] == evaluations[1]

    cell = plan.cells[0]
    stored = read_values(folder.values_path(cell.id))
    assert sorted(stored) == sorted(set(METRICS) - {"psnr_pooled"})  # which is no mean over images
    found = StoredValues(tmp_path).of(cell.id, "psnr", mean=evaluations[0][0][0]["metrics"]["psnr"]["value"])
    assert found is not None
    assert len(found) == evaluations[0][0][0]["metrics"]["psnr"]["n"]
    made = make_leaderboard([r for r in records if r], boards=["quality"], values=StoredValues(tmp_path))
    methods = {row.comparison.method for b in made.boards for g in b.groups for row in g.rows if row.comparison}
    assert methods <= {"paired bootstrap over images"}
