"""What a worker process does: one training run, or one cell. Importing this module imports torch, once per run."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Literal, TypeAlias

import torch
import torch._dynamo  # an optimizer imports it, in a second: here once for all workers

from vqbench.assets import cache_folder
from vqbench.canonical import content_id
from vqbench.catalog import Catalog
from vqbench.errors import UnavailableError, VQBenchError
from vqbench.interfaces import EvaluationContext, Measurement, Metric
from vqbench.plan import Cell, Component
from vqbench.results import CellRecord, MetricRecord, ResultsFolder, TrainingRecord
from vqbench.results.values import write_values
from vqbench.run.job import CellJob, Job, Progress, TrainJob
from vqbench.run.skeleton import component_record, record_identity
from vqbench.specs import MetricSpec
from vqbench.worker.ablation import ablate
from vqbench.worker.build import build_dataset, build_metric, convert
from vqbench.worker.checkpoint import load_trained
from vqbench.worker.code_numbers import (
    coded_rate,
    dead_slots_note,
    slot_records,
    soft_information,
    usage_measurements,
)
from vqbench.worker.environment import choose_device, describe_environment
from vqbench.worker.evaluate import Batches, evaluate
from vqbench.worker.loading import notes_of, split_of
from vqbench.worker.measuring import NotBuilt
from vqbench.worker.sample import write_sample
from vqbench.worker.timing import keep_freed_memory, throughput_metrics, time_tokenizer
from vqbench.worker.trainer import train_unit

__all__ = ["run_job"]

Report: TypeAlias = Callable[[Progress], None]


def run_job(job: Job, report: Report, threads: int) -> None:
    """Do a job: its result is on disk when this returns.

    Args:
        job: what to do.
        report: told about progress; may raise KeyboardInterrupt to stop the job.
        threads: how many threads torch may use.

    Raises:
        VQBenchError: anything a user can mend; other exceptions are bugs, of vqbench or of a plugin.
    """
    torch.set_num_threads(threads)
    options = job.options
    device = choose_device(options.device)
    catalog = Catalog.load(options.catalog)
    folder = ResultsFolder(options.results, options.suite)
    if isinstance(job, TrainJob):
        train_unit(
            job.unit,
            catalog=catalog,
            folder=folder.checkpoint_path(job.unit.id),
            device=device,
            checkpoint_seconds=options.checkpoint_seconds,
            report=report,
        )
    else:
        _run_cell(job, catalog, folder, device, report)


def _run_cell(job: CellJob, catalog: Catalog, folder: ResultsFolder, device: torch.device, report: Report) -> None:
    cell, unit = job.cell, job.cell.unit
    started, began = datetime.datetime.now(datetime.UTC), time.monotonic()

    report(Progress(stage="data", done=0, total=1))
    dataset = build_dataset(unit.dataset, unit.image_size, catalog)
    name = f"dataset {unit.dataset.id!r}"

    def batches(which: Literal["train", "test"]) -> Batches:
        return Batches(split_of(dataset, which, name=name), job.batch_size, device, name, unit.image_size)

    test = batches("test")

    report(Progress(stage="convert", done=0, total=1))
    tokenizer, trained = load_trained(folder.checkpoint_path(unit.id), unit, catalog, device=device)
    if cell.converts:
        tokenizer = convert(tokenizer, cell, catalog)
        tokenizer.fit(batches("train"))

    metrics = {component.name: _metric(component, catalog) for component in job.metrics}
    evaluation = evaluate(
        tokenizer,
        test,
        {name: metric for name, (_, metric) in metrics.items()},
        context=_evaluation_context(cell, len(test.images), device),
        report=lambda done, total: report(Progress(stage="evaluate", done=done, total=total)),
    )
    ablations = ablate(tokenizer, test) if unit.recipe["steps"] else {}  # what is untrained listens to nothing
    numbers = {name: _quality(evaluation.metrics[name], spec) for name, (spec, _) in metrics.items()}
    positions = [level.rate.positions for level in cell.levels]
    usage = evaluation.code_usage
    numbers |= _records(usage_measurements(usage, positions, cell.bits), USAGE, "usage")
    numbers |= _records(coded_rate(evaluation.codes, usage, evaluation.images), USAGE, "usage")
    numbers |= _records(soft_information(evaluation.soft_information, usage, positions), USAGE, "usage")

    keep_freed_memory()
    timings = time_tokenizer(
        tokenizer,
        next(iter(test)),
        job.timing,
        batch_size=job.batch_size,
        report=lambda done, total, what: report(Progress(stage="time", done=done, total=total, detail=what)),
    )
    headline = job.timing.headline(job.batch_size)
    numbers |= throughput_metrics(timings, headline)
    parameters = trained.encoder_parameters + trained.decoder_parameters + trained.quantizer_parameters
    numbers |= _records({"parameters": Measurement(value=parameters / 1e6, n=1)}, PARAMETERS, "throughput")

    report(Progress(stage="record", done=0, total=1))
    write_values(folder.values_path(cell.id), {name: v.numpy() for name, v in evaluation.values.items()})
    write_sample(folder.sample_path(cell.id), evaluation.originals, evaluation.reconstructions)
    record = CellRecord(
        **record_identity(cell, suite=job.options.suite),
        status="ok",
        metrics=numbers,
        code_usage=slot_records(usage, ablations, evaluation.soft_information),
        timings=timings.records,
        training=TrainingRecord(
            unit=unit.id,
            quantizer=component_record(unit.quantizer, unit.quantizer.name),
            objective=unit.objective,
            **{name: value for name, value in asdict(trained).items() if name != "notes"},
        ),
        environment=describe_environment(device, setting=headline),
        notes=list(dict.fromkeys([*trained.notes, *notes_of(dataset, name=name), *dead_slots_note(ablations)])),
        started=started.isoformat(timespec="seconds"),
        seconds=time.monotonic() - began,
    )
    folder.write(record)


def _evaluation_context(cell: Cell, images: int, device: torch.device) -> EvaluationContext:
    unit = cell.unit
    pixels = {"dataset": unit.dataset.identity, "revision": unit.revision, "size": unit.image_size, "split": "test"}
    return EvaluationContext(images=content_id(pixels), count=images, device=device, cache=cache_folder())


def _metric(component: Component, catalog: Catalog) -> tuple[MetricSpec, Metric]:
    """A metric, or what stands for one that cannot be built, and its descriptor.

    Raises:
        UnavailableError: a package that the metric requires is missing; the cell waits for it.
    """
    spec = catalog.get("metric", component.id).spec
    assert isinstance(spec, MetricSpec)
    try:
        return spec, build_metric(component, catalog)
    except UnavailableError:
        raise
    except VQBenchError as error:
        return spec, NotBuilt(error)


Better: TypeAlias = Literal["higher", "lower"] | None

Definitions: TypeAlias = Mapping[str, tuple[str, Better, str]]
"""Unit, direction and protocol of numbers by name."""

USAGE: Definitions = {
    "code_usage": ("fraction", "higher", "codes that occur in the test set / K, mean over slots"),
    "perplexity": ("codes", "higher", "2^H of the test set's histogram, geometric mean over slots"),
    "entropy_bits_per_image": ("bits", None, "order-0 entropy of the test set's codes"),
    "actual_bits_per_image": (
        "bits",
        "lower",
        "the test set's codes range-coded into one stream, 32 bits a word, decoded and compared, / images; "
        "order-0 model per level and slot that adapts as it goes (Dirichlet prior, blocks growing by 1/8); no header",
    ),
    "code_efficiency": ("fraction", "higher", "order-0 entropy / nominal bits"),
    "soft_mi_bits_per_image": (
        "bits",
        "higher",
        "H(mean posterior) - mean H(posterior) over the test set's positions, summed over slots and positions",
    ),
}
PARAMETERS: Definitions = {
    "parameters": ("M", None, "trainable parameters of encoder, decoder and quantizer"),
}


def _quality(measured: Measurement, spec: MetricSpec) -> MetricRecord:
    return MetricRecord(
        **asdict(measured),
        unit=spec.unit,
        better=spec.better,
        board="quality",
        protocol=spec.protocol,
        version=spec.version,
    )


def _records(
    measured: Mapping[str, Measurement],
    known: Definitions,
    board: Literal["usage", "throughput"],
) -> dict[str, MetricRecord]:
    return {
        name: MetricRecord(**asdict(measurement), unit=unit, better=better, board=board, protocol=protocol)
        for name, measurement in measured.items()
        for unit, better, protocol in [known[name]]
    }
