"""The part of a record that is known before anything runs, and the record of a cell that failed."""

from __future__ import annotations

import datetime
from typing import Any

import vqbench
from vqbench.canonical import content_id
from vqbench.plan import Cell, Component
from vqbench.results import CellRecord, ComponentRecord, FailureRecord, LevelRecord
from vqbench.run.job import Failure
from vqbench.run.messages import clip

__all__ = ["component_record", "failure_record", "record_identity"]


def component_record(component: Component, label: str) -> ComponentRecord:
    """A component as a record keeps it; ``label`` is what the suite calls it."""
    return ComponentRecord(
        **component.identity,
        label=clip(label, 200),
        distribution=component.distribution and clip(component.distribution, 200),
    )


def record_identity(cell: Cell, *, suite: str) -> dict[str, Any]:
    """The fields of a :class:`~vqbench.results.CellRecord` that the plan fixes, whatever becomes of the cell."""
    unit = cell.unit
    bits = None if cell.bits is None else float(cell.bits)
    return {
        "vqbench_version": vqbench.__version__,
        "suite": suite,
        "cell_id": cell.id,
        "quantizer": component_record(cell.quantizer, cell.label),
        "backbone": component_record(unit.backbone, cell.backbone_label),
        "dataset": component_record(unit.dataset, cell.dataset_label),
        "revision": unit.revision,
        "image_size": unit.image_size,
        "recipe": dict(unit.recipe),
        "seed": unit.seed,
        "protocol": content_id(cell.protocol),
        "protocol_details": cell.protocol,
        "levels": [
            LevelRecord(
                stride=level.shape.stride,
                height=level.rate.height,
                width=level.rate.width,
                codebook_sizes=list(level.rate.codebook_sizes),
            )
            for level in cell.levels
        ],
        "bits_per_image": bits,
        "bits_per_pixel": None if bits is None else bits / unit.image_size**2,
    }


def failure_record(
    cell: Cell, *, suite: str, failure: Failure, started: datetime.datetime, seconds: float
) -> CellRecord:
    """The record of a cell that has no numbers, and why.

    Args:
        cell: the cell.
        suite: the suite's name.
        failure: of the cell's own job, or of the training it needs.
        started: when the job started, or when the cell was given up.
        seconds: how long the job ran.
    """
    return CellRecord(
        **record_identity(cell, suite=suite),
        status=failure.status,
        failure=FailureRecord(
            stage=failure.stage,
            kind=clip(failure.kind, 200),
            message=clip(failure.message, 20_000),
            traceback=clip(failure.traceback, 100_000, keep_end=True),
            stderr=clip(failure.stderr, 100_000, keep_end=True),
        ),
        started=started.isoformat(timespec="seconds"),
        seconds=seconds,
    )
