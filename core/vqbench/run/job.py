"""What the parent hands to a worker process, and what a worker reports back."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from vqbench.catalog import CatalogOptions
from vqbench.plan import Cell, Component, Timing, TrainUnit

__all__ = ["CellJob", "Failure", "Job", "Message", "Progress", "Stage", "TrainJob", "WorkerOptions"]

Stage: TypeAlias = Literal["plan", "start", "data", "train", "convert", "evaluate", "time", "record"]


@dataclass(frozen=True, kw_only=True)
class WorkerOptions:
    """What is the same for all jobs of a run and does not change any number but times.

    ``results`` is the results folder (not the suite's), ``device`` is ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:1"``,
    ``checkpoint_seconds`` the time between two checkpoints of a training run.
    """

    suite: str
    results: Path
    catalog: CatalogOptions
    device: str = "auto"
    checkpoint_seconds: float = 30.0


@dataclass(frozen=True, kw_only=True)
class TrainJob:
    """Train a unit, or go on from its last checkpoint."""

    unit: TrainUnit
    name: str
    options: WorkerOptions

    @property
    def id(self) -> str:
        return f"train-{self.unit.id}"


@dataclass(frozen=True, kw_only=True)
class CellJob:
    """Load a trained unit, convert, evaluate, time, and write the cell's record."""

    cell: Cell
    metrics: tuple[Component, ...]
    batch_size: int
    timing: Timing = field(default_factory=Timing)
    options: WorkerOptions

    @property
    def id(self) -> str:
        return f"cell-{self.cell.id}"

    @property
    def name(self) -> str:
        return self.cell.name


Job: TypeAlias = TrainJob | CellJob


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a worker is: ``done`` of ``total`` things of a stage, and a few words such as the current loss."""

    stage: Stage
    done: int
    total: int
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why a job did not end well.

    ``status`` is what the record of each cell that depends on it gets; ``stage`` is where it was.
    """

    status: Literal["failed", "timeout", "out_of_memory", "unavailable", "interrupted"]
    stage: Stage
    kind: str
    message: str
    traceback: str = ""
    stderr: str = ""


Message: TypeAlias = Progress | Failure | Literal["done"]
