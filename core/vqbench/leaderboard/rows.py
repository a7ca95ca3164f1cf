"""Rows of a leaderboard: records of the same thing, put together over their seeds."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from vqbench.intervals import STUDENT, student_half_width
from vqbench.leaderboard.rate import Rate, rate_of
from vqbench.results import CellRecord, ComponentRecord, EnvironmentRecord, MetricRecord
from vqbench.significance import Over

__all__ = [
    "BESIDE_SPEED",
    "BOARDS",
    "BoardName",
    "Row",
    "RowMetric",
    "SlotUsage",
    "make_rows",
    "row_keys",
    "unfinished_cells",
]

BoardName: TypeAlias = Literal["quality", "usage", "throughput"]
ENCODER = json.JSONEncoder(sort_keys=True)  # not canonical_json: free-form parts of a record may hold NaN
BOARDS: tuple[BoardName, ...] = ("quality", "usage", "throughput")
BESIDE_SPEED = "psnr"
"""The quality that the throughput board shows beside speed."""


@dataclass(frozen=True, kw_only=True)
class RowMetric:
    """One number of a row.

    ``value`` is null, with a ``reason``, where a record of the row has none. ``low`` and ``high`` bound the 95 %
    interval or are null, ``interval`` says of which kind it is. ``n`` counts what ``over`` says: a record's own measurements or
    repetitions (of one seed), or seeds.
    ``caution`` says why to distrust a value that is there.
    """

    value: float | None
    low: float | None
    high: float | None
    interval: str | None
    n: int
    over: Over
    unit: str
    better: Literal["higher", "lower"] | None
    protocol: str
    version: int
    reason: str | None
    caution: str | None = None

    @property
    def definition(self) -> tuple[object, ...]:
        """What two numbers must share to stand in one column."""
        return self.unit, self.better, self.protocol, self.version


@dataclass(frozen=True, kw_only=True)
class SlotUsage:
    """Codes in use of one codebook, mean over the row's seeds.

    ``estimate`` is the number of codes that a larger test set would show, at least; ``tokens`` are those of one seed. Both
    ``estimate`` and ``ablation_mse`` are None where a seed has none; ``dead`` says whether the slot is dead in any seed.
    """

    level: int
    slot: int
    codebook_size: int
    active: float
    uniform_expectation: float
    perplexity: float
    tokens: int
    estimate: float | None
    soft_mi_bits: float | None
    ablation_mse: float | None
    dead: bool


@dataclass(frozen=True, kw_only=True)
class Row:
    """One quantizer on one backbone and dataset, over its seeds.

    ``missing`` are records of the same thing whose seed has no numbers. ``environment`` is None where the seeds ran in
    different ones.
    """

    quantizer: ComponentRecord
    backbone: ComponentRecord
    dataset: ComponentRecord
    revision: str
    image_size: int
    recipe: Mapping[str, Any]
    rate: Rate
    protocol: str
    protocol_details: Mapping[str, Any]
    cell_ids: tuple[str, ...]
    training_units: tuple[str, ...]
    trained_as: ComponentRecord | None
    seeds: tuple[int, ...]
    missing: tuple[CellRecord, ...]
    metrics: Mapping[str, RowMetric]
    usage: tuple[SlotUsage, ...]
    environment: EnvironmentRecord | None
    notes: tuple[str, ...]

    @property
    def bits_per_pixel(self) -> float | None:
        return None if self.rate.bits is None else self.rate.bits / self.image_size**2

    @property
    def names(self) -> tuple[str, str, str]:
        """Labels of quantizer, backbone and dataset."""
        return self.quantizer.label, self.backbone.label, self.dataset.label

    @property
    def name(self) -> str:
        """``quantizer × backbone``."""
        return f"{self.quantizer.label} × {self.backbone.label}"

    @property
    def untrained(self) -> bool:
        """Whether its weights are the initial ones, so that its quality says nothing."""
        return self.recipe.get("steps") == 0


def make_rows(records: Sequence[CellRecord], board: BoardName, *, keys: Sequence[Hashable] | None = None) -> list[Row]:
    """The rows of a board.

    Records share a row if they differ in nothing but the seed (for throughput, of those timed in one environment and batch size).
    What was recorded twice for a seed counts once, with its newest numbers. A row needs one record that is ok. ``keys`` are what
    :func:`row_keys` gives, for whoever makes several boards.
    """
    keys = row_keys(records) if keys is None else keys
    rows: dict[Hashable, tuple[Hashable, dict[int, list[CellRecord]]]] = {}
    unfinished: dict[Hashable, list[CellRecord]] = {}
    done = {record.cell_id for record in records if record.status == "ok"}
    for key, record in zip(keys, records, strict=True):
        if record.status == "ok":
            environment = _environment_key(record) if board == "throughput" else None
            trained = _component_key(record.training.quantizer) if record.training else None
            group = (key, environment, trained)
            if group not in rows:
                rows[group] = key, {}
            rows[group][1].setdefault(record.seed, []).append(record)
        elif record.cell_id not in done:
            unfinished.setdefault(key, []).append(record)
    return [_row(seeds, _newest_by_cell(unfinished.get(key, ())), board) for key, seeds in rows.values()]


def unfinished_cells(records: Iterable[CellRecord]) -> list[CellRecord]:
    """The newest record of each cell that has none that is ok."""
    records = list(records)
    done = {record.cell_id for record in records if record.status == "ok"}
    return _newest_by_cell(record for record in records if record.cell_id not in done)


def _newest_by_cell(records: Iterable[CellRecord]) -> list[CellRecord]:
    newest: dict[str, CellRecord] = {}
    for record in records:
        known = newest.get(record.cell_id)
        if known is None or record.started > known.started:
            newest[record.cell_id] = record
    return list(newest.values())


def row_keys(records: Iterable[CellRecord]) -> list[Hashable]:
    """For each record, what it shares with the records of its row: all that its numbers come from but the seed."""
    return [
        (
            record.protocol,
            record.revision,
            record.image_size,
            rate_of(record.levels),
            ENCODER.encode(
                [[c.id, c.version, c.label, c.parameters] for c in (record.quantizer, record.backbone, record.dataset)]
                + [record.recipe]
            ),
        )
        for record in records
    ]


def _environment_key(record: CellRecord) -> Hashable:
    where = record.environment
    return where and (where.fingerprint, where.batch_size)


def _component_key(component: ComponentRecord) -> Hashable:
    return component.id, component.version, component.label, ENCODER.encode(component.parameters)


def _row(seeds: Mapping[int, Sequence[CellRecord]], missing: Sequence[CellRecord], board: BoardName) -> Row:
    records = [max(seeds[seed], key=lambda record: record.started) for seed in sorted(seeds)]
    first = records[0]
    rate = rate_of(first.levels)
    notes = [note for record in records for note in record.notes]
    notes += [
        f"seed {seed} was recorded {len(same)} times; the newest counts"
        for seed, same in seeds.items()
        if len(same) > 1
    ]
    notes += [
        f"seed {record.seed} states {record.bits_per_image} bits per image, its levels have {rate.bits}"
        for record in records
        if not _agree(record.bits_per_image, rate.bits)
    ]
    environments = {record.environment.fingerprint if record.environment else None for record in records}
    return Row(
        quantizer=first.quantizer,
        backbone=first.backbone,
        dataset=first.dataset,
        revision=first.revision,
        image_size=first.image_size,
        recipe=first.recipe,
        rate=rate,
        protocol=first.protocol,
        protocol_details=first.protocol_details,
        cell_ids=tuple(record.cell_id for record in records),
        training_units=tuple(record.training.unit for record in records if record.training),
        trained_as=first.training.quantizer if first.training else None,
        seeds=tuple(record.seed for record in records),
        missing=tuple(missing),
        metrics=_speed_and_quality(records) if board == "throughput" else _metrics(records, board),
        usage=_usage(records) if board == "usage" else (),
        environment=first.environment if len(environments) == 1 else None,
        notes=tuple(dict.fromkeys(notes)),
    )


def _agree(stated: float | None, computed: float | None) -> bool:
    if stated is None or computed is None:
        return stated is computed
    return abs(stated - computed) <= 1e-6 * max(abs(stated), abs(computed))


def _speed_and_quality(records: Sequence[CellRecord]) -> dict[str, RowMetric]:
    """Speeds with quality beside them, of tokenizers that are trained."""
    speeds = _metrics(records, "throughput")
    if not speeds or records[0].recipe.get("steps") == 0:
        return speeds
    quality = _metrics(records, "quality")
    return {name: number for name, number in quality.items() if name == BESIDE_SPEED} | speeds


def _metrics(records: Sequence[CellRecord], board: BoardName) -> dict[str, RowMetric]:
    names = dict.fromkeys(name for record in records for name, m in record.metrics.items() if m.board == board)
    if len(records) == 1:
        return {name: _own(records[0].metrics[name]) for name in names}
    return {name: _over_seeds(name, board, records) for name in names}


def _own(metric: MetricRecord) -> RowMetric:
    """A single record's number, with its own interval."""
    return RowMetric(
        value=metric.value,
        low=metric.low if metric.value is not None else None,
        high=metric.high if metric.value is not None else None,
        interval=metric.interval if metric.value is not None else None,
        n=metric.n,
        over="repetitions" if metric.board == "throughput" else "measurements",
        unit=metric.unit,
        better=metric.better,
        protocol=metric.protocol,
        version=metric.version,
        reason=metric.reason if metric.value is None else None,
        caution=metric.caution if metric.value is not None else None,
    )


def _over_seeds(name: str, board: BoardName, records: Sequence[CellRecord]) -> RowMetric:
    """Mean over the seeds and Student's 95 % interval of it; null as soon as one seed has no number."""
    found: list[MetricRecord] = []
    reason = None
    for record in records:
        metric = record.metrics.get(name)
        if metric is None or metric.board != board:
            reason = reason or f"not measured for seed {record.seed}"
        else:
            found.append(metric)
            if metric.value is None:
                reason = reason or f"seed {record.seed}: {metric.reason}"
    shape = next((metric for metric in found if metric.value is not None), found[0])
    definitions = {(m.unit, m.better, m.protocol, m.version) for m in found if m.value is not None}
    if len(definitions) > 1:
        reason = reason or "the seeds were measured with different definitions of it"
    values = [metric.value for metric in found if metric.value is not None]
    mean = half = None
    if reason is None:
        try:
            mean = math.fsum(values) / len(values)
            variance = math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
            half = student_half_width(math.sqrt(variance), len(values))
        except OverflowError:
            mean, reason = None, "too large to average"
    return RowMetric(
        value=mean,
        low=None if mean is None or half is None else mean - half,
        high=None if mean is None or half is None else mean + half,
        interval=None if mean is None or half is None else STUDENT,
        n=len(values),
        over="seeds",
        unit=shape.unit,
        better=shape.better,
        protocol=shape.protocol,
        version=shape.version,
        reason=reason,
        caution=None if mean is None else next((metric.caution for metric in found if metric.caution), None),
    )


def _usage(records: Sequence[CellRecord]) -> tuple[SlotUsage, ...]:
    """Mean over the seeds of each slot's statistics; empty if a seed has none."""
    layouts = [[(slot.level, slot.slot, slot.codebook_size) for slot in record.code_usage] for record in records]
    if any(layout != layouts[0] for layout in layouts):
        return ()
    return tuple(
        SlotUsage(
            level=slots[0].level,
            slot=slots[0].slot,
            codebook_size=slots[0].codebook_size,
            active=statistics.fmean(slot.active for slot in slots),
            uniform_expectation=statistics.fmean(slot.uniform_expectation for slot in slots),
            perplexity=statistics.fmean(slot.perplexity for slot in slots),
            tokens=slots[0].tokens,
            estimate=_mean([slot.usage_estimate and slot.usage_estimate * slot.codebook_size for slot in slots]),
            soft_mi_bits=_mean([slot.soft_mi_bits for slot in slots]),
            ablation_mse=_mean([slot.ablation_mse for slot in slots]),
            dead=any(slot.dead for slot in slots),
        )
        for slots in zip(*(record.code_usage for record in records), strict=True)
    )


def _mean(values: Sequence[float | None]) -> float | None:
    """Of the values, None if one is missing."""
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if len(known) == len(values) else None
