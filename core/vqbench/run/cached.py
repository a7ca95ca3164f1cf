"""What earlier runs have left that need not be done again; decided without torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vqbench.assets import missing_weights
from vqbench.errors import RecordError
from vqbench.plan import Component, Plan, Timing, TrainUnit
from vqbench.results import BrokenRecord, CellRecord, ResultsFolder

__all__ = ["Cached", "is_trained", "satisfies", "what_is_cached", "what_lacks_weights"]

TRAINING_WEIGHTS = "lpips_vgg"
"""What ``recipe.lpips_weight`` needs."""


@dataclass(frozen=True, kw_only=True)
class Cached:
    """``cells`` and ``units`` are ids: cells with a good record, units trained to their end; ``broken`` records are neither."""

    cells: frozenset[str]
    units: frozenset[str]
    broken: tuple[BrokenRecord, ...]


def what_is_cached(plan: Plan, folder: ResultsFolder) -> Cached:
    """Read the plan's records and look at its checkpoints."""
    cells: set[str] = set()
    broken: list[BrokenRecord] = []
    for cell in plan.cells:
        try:
            record = folder.read(cell.id)
        except RecordError as error:
            broken.append(BrokenRecord(path=folder.record_path(cell.id), reason=str(error)))
        else:
            if satisfies(record, plan) and not _more_can_be_measured(record, plan.metrics):
                cells.add(cell.id)
    units = frozenset(unit.id for unit in plan.units if is_trained(unit, folder))
    return Cached(cells=frozenset(cells), units=units, broken=tuple(broken))


def satisfies(record: CellRecord | None, plan: Plan) -> bool:
    """Whether a record has all metrics of the plan in their current versions, and its timings; a failed one never does."""
    return (
        record is not None
        and record.status == "ok"
        and all(
            metric.name in record.metrics and record.metrics[metric.name].version == metric.version
            for metric in plan.metrics
        )
        and _is_timed(record, plan)
    )


def _is_timed(record: CellRecord, plan: Plan) -> bool:
    """Whether a record has the timings that the suite asks for; one that has no [timing] takes what is there."""
    if plan.timing == Timing():
        return True
    wanted = {
        (stage, *setting.key)
        for setting in plan.timing.settings(plan.evaluation_batch_size)
        for stage in plan.timing.stages
    }
    searched = "largest_batch" in record.metrics or not plan.timing.largest_batch
    return searched and wanted <= {timing.key for timing in record.timings if not timing.largest}


def _more_can_be_measured(record: CellRecord | None, metrics: Sequence[Component]) -> bool:
    """Whether a metric is null for want of weights that are here now."""
    return record is not None and any(
        record.metrics[metric.name].unavailable and metric.weights and not missing_weights(metric.weights)
        for metric in metrics
    )


def what_lacks_weights(plan: Plan) -> str | None:
    """A sentence on the metrics and training runs that need weights which are not here, with the line to run; None if none do."""
    nulls = {metric.name: missing_weights(metric.weights) for metric in plan.metrics}
    nulls = {name: missing for name, missing in nulls.items() if missing}
    runs = sum(unit.recipe["lpips_weight"] > 0 for unit in plan.units) if missing_weights([TRAINING_WEIGHTS]) else 0
    if not nulls and not runs:
        return None
    parts = [f"{', '.join(nulls)} will be null"] if nulls else []
    parts += [f"{runs} training run{'s' * (runs > 1)} cannot start (recipe.lpips_weight)"] if runs else []
    names = dict.fromkeys([name for missing in nulls.values() for name in missing] + [TRAINING_WEIGHTS] * bool(runs))
    return f"{' and '.join(parts)} for want of weights: `vqbench weights fetch {' '.join(names)}` gets them"


def is_trained(unit: TrainUnit, folder: ResultsFolder) -> bool:
    """Whether a unit has a checkpoint of its last step. Whether that is sound, the worker that loads it finds out."""
    step = folder.checkpoint_path(unit.id) / f"step-{unit.recipe['steps']:08d}"
    return (step / "tokenizer.safetensors").is_file()
