"""The rate–distortion board for programs and spreadsheets, in full precision."""

from __future__ import annotations

from typing import Any

from vqbench.leaderboard.rate_board import RateBoard, RateGroup, RateRow
from vqbench.leaderboard.rate_curves import RateCurve
from vqbench.leaderboard.rate_deltas import compare

__all__ = ["rate_document", "rate_lines"]


def rate_document(board: RateBoard) -> dict[str, Any]:
    """``{"axis": …, "groups": [{…, "curves": […], "deltas": […]}]}``: points, and the deltas of every ordered pair."""
    return {"axis": board.axis, "groups": [_group(group) for group in board.groups]}


def rate_lines(board: RateBoard) -> list[dict[str, Any]]:
    """A line per curve, against the group's anchor."""
    return [_line(group, row) for group in board.groups for row in group.rows]


def _group(group: RateGroup) -> dict[str, Any]:
    curves = [row.curve for row in group.rows]
    return {
        "group": group.id,
        "dataset": group.dataset,
        "image_size": group.image_size,
        "backbone": group.backbone,
        "protocol": group.protocol,
        "images_seen": group.images_seen,
        "anchor": group.anchor.method,
        "curves": [_curve(curve) for curve in curves],
        "deltas": [
            {
                "quantizer": test.method,
                "anchor": anchor.method,
                "metric": metric,
                "bd_rate": vars(compared.rate),
                "bd_quality": vars(compared.quality),
            }
            for anchor in curves
            for test in curves
            if test is not anchor
            for metric in group.metrics
            for compared in (compare(test, anchor, metric),)
        ],
        "one_rate_only": list(group.alone),
        "left_out": list(group.left_out),
    }


def _curve(curve: RateCurve) -> dict[str, Any]:
    return {
        "quantizer": curve.method,
        "id": curve.quantizer,
        "points": [
            {
                "label": point.label,
                "bits_per_pixel": point.bits_per_pixel,
                "seeds": sorted(point.by_seed),
                "cell_ids": list(point.cell_ids),
                "metrics": {name: vars(metric) for name, metric in point.metrics.items()},
            }
            for point in curve.points
        ],
    }


def _line(group: RateGroup, row: RateRow) -> dict[str, Any]:
    rates = [point.bits_per_pixel for point in row.curve.points]
    line: dict[str, Any] = {
        "board": "rate",
        "group": group.id,
        "quantizer": row.curve.method,
        "backbone": group.backbone,
        "dataset": group.dataset,
        "image_size": group.image_size,
        "seeds": " ".join(map(str, sorted(row.curve.seeds))),
        "status": "ok",
        "cell_ids": " ".join(cell for point in row.curve.points for cell in point.cell_ids),
        "anchor": group.anchor.method,
        "rates": len(rates),
        "bits_per_pixel_min": min(rates),
        "bits_per_pixel_max": max(rates),
    }
    reasons = []
    for metric, compared in row.against_anchor.items():
        for name, delta in ((f"bd_rate_{metric}", compared.rate), (f"bd_{metric}", compared.quality)):
            line |= {name: delta.value, f"{name}_low": delta.low, f"{name}_high": delta.high, f"{name}_n": delta.n}
            reasons += [f"no {name}: {delta.reason}"] if delta.reason else []
    return line | {"reason": "; ".join(reasons) or None}
