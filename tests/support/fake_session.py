"""A small plan of one-number cells, and a worker that fakes training and evaluation but writes real records.

What a cell's quantizer does is its parameter ``does``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from vqbench.catalog import CatalogOptions
from vqbench.errors import DataError
from vqbench.plan import Cell, Component, Plan, Recipe, TrainUnit
from vqbench.plan.matrix import Level
from vqbench.rate import Bits, LevelRate
from vqbench.results import CellRecord, MetricRecord, ResultsFolder
from vqbench.run.job import CellJob, Job, Progress, TrainJob, WorkerOptions
from vqbench.run.skeleton import record_identity
from vqbench.specs import LevelShape

ENTRY = "fake_session:run_job"
STEPS = 20


def make_plan(
    *quantizers: str | tuple[str, str], metrics: tuple[str, ...] = ("vqbench/psnr",), version: int = 1
) -> Plan:
    """A cell for each quantizer, ``name`` or ``(name, what it does)``; a name that starts with ``gq`` shares a training."""
    cells = []
    for given in quantizers:
        name, does = (given, "well") if isinstance(given, str) else given
        quantizer = Component(id=f"vqbench/{name}", version=1, parameters={"does": does})
        trained = Component(id="vqbench/gaussian-vae", version=1, parameters={"does": "well"})
        unit = TrainUnit(
            quantizer=trained if name.startswith("gq") else quantizer,
            backbone=Component(id="vqbench/unet", version=1, parameters={}),
            dataset=Component(id="other/photos", version=2, parameters={"n": 8}),
            revision="r1",
            image_size=16,
            stride=8,
            recipe=Recipe(steps=STEPS).model_dump(),
            seed=0,
            objective="reconstruction",
        )
        rate = LevelRate(height=2, width=2, codebook_sizes=(16, 12))
        shape = LevelShape(stride=8, latent_channels=2, code_channels=2)
        cells.append(
            Cell(
                unit=unit,
                quantizer=quantizer,
                label=name,
                backbone_label="unet",
                dataset_label="photos",
                levels=(Level(shape=shape, rate=rate, arguments={}, target=None),),
                bits=Bits.of([rate]),
            )
        )
    components = tuple(Component(id=id, version=version, parameters={}) for id in metrics)
    return Plan(suite="fake", cells=tuple(cells), skips=(), metrics=components, evaluation_batch_size=4)


def make_options(results: Path) -> WorkerOptions:
    return WorkerOptions(suite="fake", results=results, catalog=CatalogOptions(), device="cpu")


def run_job(job: Job, report: Callable[[Progress], None], threads: int) -> None:
    folder = ResultsFolder(job.options.results, job.options.suite)
    with (folder.path / "jobs-run").open("a") as file:
        file.write(f"{job.id} {threads}\n")
    if isinstance(job, TrainJob):
        _train(job, folder, report)
    else:
        _evaluate(job, folder, report)


def _train(job: TrainJob, folder: ResultsFolder, report: Callable[[Progress], None]) -> None:
    does = job.unit.quantizer.parameters["does"]
    for step in range(STEPS + 1):
        report(Progress(stage="train", done=step, total=STEPS, detail=f"loss {1 / (step + 1):.3f}"))
        if does == "fails in training" and step == 5:
            raise DataError("Half of the images are missing", hint="Look under the sofa.")
        while does == "hangs in training" and step == 5:
            report(Progress(stage="train", done=step, total=STEPS))
            time.sleep(0.02)
    step_folder = folder.checkpoint_path(job.unit.id) / f"step-{STEPS:08d}"
    step_folder.mkdir(parents=True)
    (step_folder / "tokenizer.safetensors").touch()


def _evaluate(job: CellJob, folder: ResultsFolder, report: Callable[[Progress], None]) -> None:
    does = job.cell.quantizer.parameters["does"]
    report(Progress(stage="evaluate", done=1, total=2))
    if does == "fails in evaluation":
        raise ValueError("no such thing")
    while does == "hangs in its second evaluation" and folder.record_path(job.cell.id).exists():
        report(Progress(stage="evaluate", done=1, total=2))
        time.sleep(0.02)
    if does == "leaves no record":
        return
    number = MetricRecord(value=25.0, n=8, unit="dB", better="higher", board="quality", version=job.metrics[0].version)
    if does == "lacks weights at first" and not folder.record_path(job.cell.id).exists():
        number = number.model_copy(update={"value": None, "reason": "no weights", "unavailable": True})
    folder.write(
        CellRecord(
            **record_identity(job.cell, suite=job.options.suite),
            status="ok",
            metrics={metric.name: number for metric in job.metrics},
            started="2025-01-01T00:00:00+00:00",
            seconds=1.0,
        )
    )
    if does == "dies after its record":
        raise ValueError("too late")
