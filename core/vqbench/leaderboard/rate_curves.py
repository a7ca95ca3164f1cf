"""Methods that were run at several rates, as curves of quality over rate."""

from __future__ import annotations

import json
import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from vqbench.leaderboard.notation import clean
from vqbench.leaderboard.rate import rate_of
from vqbench.leaderboard.rows import Row, RowMetric, make_rows
from vqbench.results import CellRecord

__all__ = ["AXES", "QUALITIES", "RateAxis", "RateCurve", "RatePoint", "curves_at_several_rates", "method_of"]

RateAxis: TypeAlias = Literal["nominal", "entropy", "actual"]
AXES: dict[RateAxis, str | None] = {
    "nominal": None,
    "entropy": "entropy_bits_per_image",
    "actual": "actual_bits_per_image",
}
"""What may be called the rate: the nominal bits, or a metric in bits per image."""

QUALITIES = ("psnr", "lpips_alex")
"""The metrics that curves are drawn and compared in."""

RATE_PART = re.compile(r"(.+?)[-_]\d+(?:\.\d+)?(?:b|bits?|bpp)", re.IGNORECASE | re.DOTALL)
ENCODER = json.JSONEncoder(sort_keys=True)


@dataclass(frozen=True, kw_only=True)
class RatePoint:
    """A row at its rate.

    ``metrics`` holds those of :data:`QUALITIES` that the row has. ``by_seed`` are each seed's own rate (bits per pixel)
    and numbers, as far as it has them.
    """

    label: str
    bits_per_pixel: float
    metrics: Mapping[str, RowMetric]
    by_seed: Mapping[int, tuple[float, Mapping[str, float]]]
    cell_ids: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class RateCurve:
    """A method on a backbone and dataset; points by rising rate. ``left_out`` says which rows have no rate, and why."""

    method: str
    quantizer: str
    row: Row
    points: tuple[RatePoint, ...]
    left_out: tuple[str, ...] = ()

    @property
    def seeds(self) -> frozenset[int]:
        """The seeds of its points; none where the points have different ones."""
        each = {frozenset(point.by_seed) for point in self.points}
        return each.pop() if len(each) == 1 else frozenset()


def method_of(label: str) -> str:
    """A quantizer's label without its trailing rate part: ``gq-16b`` → ``gq``, ``vq_0.5bpp`` → ``vq``.

    The rate part is a hyphen or underscore, a number, and ``b``, ``bit``, ``bits`` or ``bpp``.
    """
    match = RATE_PART.fullmatch(label)
    return match[1] if match else label


def curves_at_several_rates(
    records: Iterable[CellRecord], axis: RateAxis = "nominal"
) -> tuple[dict[Hashable, list[RateCurve]], dict[Hashable, list[str]]]:
    """The curves of each comparable set: one dataset, image size, protocol and backbone.

    A curve's rows share the quantizer's id and label but for its rate part.

    Returns:
        the curves by set; and for each set the methods that were run at one rate only.
    """
    by_curve: dict[tuple[Hashable, tuple[Hashable, str, str]], list[CellRecord]] = {}
    rates: dict[Hashable, set[Hashable]] = {}
    for record in records:
        rate = rate_of(record.levels)
        if record.status == "ok" and rate.bits is not None and rate.bits > 0:
            key = _key(record)
            by_curve.setdefault(key, []).append(record)
            rates.setdefault(key, set()).add(rate.key)
    curves: dict[Hashable, list[RateCurve]] = {}
    alone: dict[Hashable, list[str]] = {}
    for key, members in by_curve.items():
        if len(rates[key]) > 1:
            curves.setdefault(key[0], []).append(_curve(members, axis))
        else:
            alone.setdefault(key[0], []).append(method_of(members[0].quantizer.label))
    return {key: _told_apart(members) for key, members in curves.items()}, alone


def _key(record: CellRecord) -> tuple[Hashable, tuple[Hashable, str, str]]:
    """What a record shares with its comparable set, and with its curve."""
    backbone = record.backbone
    together = (
        *(record.dataset.id, record.revision, record.image_size, record.protocol),
        *(backbone.id, backbone.version, backbone.label, ENCODER.encode(backbone.parameters)),
    )
    return together, (together, record.quantizer.id, method_of(record.quantizer.label))


def _curve(records: Sequence[CellRecord], axis: RateAxis) -> RateCurve:
    newest: dict[str, CellRecord] = {}
    for record in sorted(records, key=lambda record: record.started):
        newest[record.cell_id] = record
    points: list[RatePoint] = []
    left_out: list[str] = []
    rows = [(row, {**row.metrics, **usage.metrics}) for row, usage in _rows(records)]
    for row, metrics in rows:
        rate = _rate(row, metrics, axis)
        if isinstance(rate, str):
            left_out.append(f"{clean(row.quantizer.label)} has no rate: {rate}")
            continue
        points.append(
            RatePoint(
                label=row.quantizer.label,
                bits_per_pixel=rate,
                metrics={name: metrics[name] for name in QUALITIES if name in metrics},
                by_seed={
                    seed: own
                    for seed, cell in zip(row.seeds, row.cell_ids, strict=True)
                    if (own := _own(newest[cell], axis)) is not None
                },
                cell_ids=row.cell_ids,
            )
        )
    first = rows[0][0]
    return RateCurve(
        method=method_of(first.quantizer.label),
        quantizer=first.quantizer.id,
        row=first,
        points=tuple(sorted(points, key=lambda point: (point.bits_per_pixel, point.label, point.cell_ids))),
        left_out=tuple(left_out),
    )


def _rows(records: Sequence[CellRecord]) -> Iterable[tuple[Row, Row]]:
    """Each row with its quality and with its usage."""
    return zip(make_rows(records, "quality"), make_rows(records, "usage"), strict=True)


def _rate(row: Row, metrics: Mapping[str, RowMetric], axis: RateAxis) -> float | str:
    """Bits per pixel, or why there are none."""
    name = AXES[axis]
    if name is None:
        assert row.bits_per_pixel is not None  # continuous latents have no curve
        return row.bits_per_pixel
    metric = metrics.get(name)
    if metric is None:
        return f"{name} was not measured"
    if metric.value is None:
        return f"no {name}: {clean(metric.reason)}"
    return metric.value / row.image_size**2 if metric.value > 0 else f"{name} is not above 0"


def _own(record: CellRecord, axis: RateAxis) -> tuple[float, Mapping[str, float]] | None:
    """One record's rate in bits per pixel and its quality; None where it has no rate."""
    name = AXES[axis]
    metric = record.metrics.get(name) if name else None
    bits = rate_of(record.levels).bits if name is None else metric.value if metric else None
    if not bits or bits < 0:
        return None
    values = {name: m.value for name in QUALITIES if (m := record.metrics.get(name)) and m.value is not None}
    return bits / record.image_size**2, values


def _told_apart(curves: Sequence[RateCurve]) -> list[RateCurve]:
    """Curves by name; where different quantizers share a name, their ids are added to it."""
    names = [curve.method for curve in curves]
    named = [
        replace(curve, method=f"{curve.method} ({curve.quantizer})") if names.count(curve.method) > 1 else curve
        for curve in curves
    ]
    return sorted(named, key=lambda curve: curve.method)
