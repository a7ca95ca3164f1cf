"""What a worker process does: one training run, or one cell. Importing this module imports torch and timm, once per run."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, cast

import timm  # noqa: F401  the fork server imports it once for all workers
import torch
from torch import Tensor

import vqbench
from vqbench.catalog import Catalog, load_target
from vqbench.errors import PluginError
from vqbench.interfaces import Dataset, Measurement, Metric
from vqbench.results import (
    CellRecord,
    CodeUsageRecord,
    MetricRecord,
    ResultsFolder,
    TrainingRecord,
)
from vqbench.run.job import CellJob, Job, Progress, TrainJob
from vqbench.run.skeleton import component_record, record_identity
from vqbench.seeds import derive_seed
from vqbench.specs import MetricSpec
from vqbench.worker.checkpoint import load_trained
from vqbench.worker.environment import choose_device, describe_environment
from vqbench.worker.evaluate import evaluate, test_batches, usage_measurements
from vqbench.worker.sample import write_sample
from vqbench.worker.throughput import PROTOCOL as THROUGHPUT_PROTOCOL
from vqbench.worker.throughput import measure_throughput
from vqbench.worker.tokenizer import Tokenizer
from vqbench.worker.trainer import Trained, train_unit

if TYPE_CHECKING:
    from vqbench.plan import Component, TrainUnit

__all__ = ["run_job"]

Report = Callable[[Progress], None]


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
    torch.backends.cudnn.benchmark = True
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
        _run_cell(job, catalog, folder, device, report, threads)


def _run_cell(
    job: CellJob, catalog: Catalog, folder: ResultsFolder, device: torch.device, report: Report, threads: int
) -> None:
    cell, unit = job.cell, job.cell.unit
    started, began = datetime.datetime.now(datetime.UTC), time.monotonic()

    report(Progress(stage="data", done=0, total=1))
    dataset = build_dataset(unit, catalog)
    test = dataset.split("test")

    report(Progress(stage="convert", done=0, total=1))
    tokenizer, trained = load_trained(folder.checkpoint_path(unit.id), unit, catalog, device=device)
    if cell.converts:
        tokenizer = convert(tokenizer, cell, catalog).to(device).eval()
        tokenizer.fit(lambda: test_batches(dataset.split("train"), job.batch_size, device))

    metrics = {component.name: _build_metric(component, catalog) for component in job.metrics}
    report(Progress(stage="evaluate", done=0, total=len(test)))
    evaluation = evaluate(
        tokenizer,
        test,
        {name: metric for name, (_, metric) in metrics.items()},
        batch_size=job.batch_size,
        device=device,
        report=lambda done, total: report(Progress(stage="evaluate", done=done, total=total)),
    )
    numbers = {
        name: _metric_record(evaluation.metrics[name], spec.unit, spec.better, "quality", spec.protocol, spec.version)
        for name, (spec, _) in metrics.items()
    }
    numbers |= _usage_records(
        usage_measurements(evaluation.code_usage, [level.rate.positions for level in cell.levels], cell.bits)
    )
    report(Progress(stage="time", done=0, total=1))
    batch = next(iter(test_batches(test, job.batch_size, device)))
    numbers |= _throughput_records(measure_throughput(tokenizer, batch), trained, tokenizer)

    report(Progress(stage="record", done=0, total=1))
    write_sample(folder.sample_path(cell.id), evaluation.originals, evaluation.reconstructions)
    record = CellRecord(
        **record_identity(cell, suite=job.options.suite),
        status="ok",
        metrics=numbers,
        code_usage=[
            CodeUsageRecord(
                level=slot.level,
                slot=slot.slot or 0,
                codebook_size=slot.codebook_size,
                tokens=slot.tokens,
                active=slot.active,
                usage=slot.usage,
                uniform_expectation=slot.uniform_expectation,
                entropy_bits=slot.entropy_bits,
                miller_madow_bits=slot.miller_madow_bits,
                perplexity=slot.perplexity,
            )
            for slot in evaluation.code_usage
        ],
        training=TrainingRecord(
            unit=unit.id,
            quantizer=component_record(unit.quantizer, unit.quantizer.id),
            objective=unit.objective,
            steps=trained.steps,
            seconds=trained.seconds,
            losses=dict(trained.losses),
            encoder_parameters=trained.encoder_parameters,
            decoder_parameters=trained.decoder_parameters,
            quantizer_parameters=trained.quantizer_parameters,
        ),
        environment=describe_environment(device, threads=threads),
        notes=dataset.notes(),
        started=started.isoformat(timespec="seconds"),
        seconds=time.monotonic() - began,
    )
    folder.write(record)
