"""The rate–distortion board: methods that were run at several rates, compared over all of them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from vqbench.canonical import content_id
from vqbench.errors import UsageError, closest
from vqbench.leaderboard.notation import clean
from vqbench.leaderboard.rate_curves import (
    AXES,
    QUALITIES,
    RateAxis,
    RateCurve,
    curves_at_several_rates,
    method_of,
)
from vqbench.leaderboard.rate_deltas import Comparison, Delta, compare
from vqbench.results import CellRecord

__all__ = ["RateBoard", "RateGroup", "RateRow", "make_rate_board"]


@dataclass(frozen=True, kw_only=True)
class RateRow:
    """A curve beside the anchor, by metric. The anchor's own deltas are 0."""

    curve: RateCurve
    against_anchor: dict[str, Comparison]


@dataclass(frozen=True, kw_only=True)
class RateGroup:
    """Curves of one dataset, image size, protocol and backbone; best first by the delta of quality.

    ``alone`` are methods that were run at one rate only; ``left_out`` says which rows have no rate on the board's axis, and why.
    """

    id: str
    dataset: str
    image_size: int
    backbone: str
    protocol: str
    images_seen: str
    anchor: RateCurve
    metrics: tuple[str, ...]
    rows: tuple[RateRow, ...]
    alone: tuple[str, ...]
    left_out: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """What ``--group`` may call it."""
        return self.id, self.protocol, self.dataset


@dataclass(frozen=True, kw_only=True)
class RateBoard:
    """Groups of curves over one axis: nominal, entropy or actual bits per pixel."""

    axis: RateAxis
    groups: tuple[RateGroup, ...]


def make_rate_board(
    records: Iterable[CellRecord], *, axis: RateAxis = "nominal", anchor: str | None = None
) -> RateBoard | None:
    """Compare the methods that were run at several rates.

    Args:
        records: of any number of suites, in any order.
        axis: what is called the rate.
        anchor: the method that the others are compared with, or one of its labels; groups without it take the default:
            the method with most points, the first by name among several.

    Returns:
        the board; None where no method was run at several rates.

    Raises:
        UsageError: no record has the metric of ``axis``, or no group has the ``anchor``.
    """
    records = list(records)
    curves, alone = curves_at_several_rates(records, axis)
    if curves and (needed := AXES[axis]) and not any(curve.points for members in curves.values() for curve in members):
        raise UsageError(
            f"No record has {needed}, which --rate-axis {axis} needs",
            hint="Evaluate with that metric in the suite's [evaluation] metrics, or use --rate-axis nominal.",
        )
    drawn = {key: kept for key, members in curves.items() if (kept := [c for c in members if _is_curve(c)])}
    if not drawn:
        return None
    if anchor is not None:
        known = sorted({curve.method for members in drawn.values() for curve in members})
        if anchor not in known:
            anchor = method_of(anchor)
        if anchor not in known:
            shown = ", ".join(map(clean, known))
            raise UsageError(
                f"--anchor {anchor} names no method with several rates",
                expected=f"one of {shown}",
                hint=closest(anchor, known),
            )
    groups = [_group(key, drawn[key], curves[key], alone.get(key, ()), axis, anchor) for key in drawn]
    groups.sort(key=lambda group: (group.dataset, group.image_size, group.protocol, group.backbone, group.id))
    return RateBoard(axis=axis, groups=tuple(groups))


def _is_curve(curve: RateCurve) -> bool:
    return len(curve.points) > 1 and any(point.metrics for point in curve.points)


def _group(
    key: Hashable,
    curves: Sequence[RateCurve],
    candidates: Sequence[RateCurve],
    alone: Iterable[str],
    axis: RateAxis,
    wanted: str | None,
) -> RateGroup:
    first = curves[0].row
    anchor = next((curve for curve in curves if curve.method == wanted), None) or _default_anchor(curves)
    have = {name for curve in curves for point in curve.points for name in point.metrics}
    metrics = tuple(name for name in QUALITIES if name in have)
    rows = [
        RateRow(
            curve=curve,
            against_anchor={name: SAME if curve is anchor else compare(curve, anchor, name) for name in metrics},
        )
        for curve in curves
    ]
    return RateGroup(
        id=content_id(["rate", axis, repr(key)], length=8),
        dataset=first.dataset.label,
        image_size=first.image_size,
        backbone=first.backbone.label,
        protocol=first.protocol,
        images_seen=clean(first.protocol_details.get("images_seen", "?")),
        anchor=anchor,
        metrics=metrics,
        rows=tuple(sorted(rows, key=_order)),
        alone=tuple(sorted(set(alone) - {curve.method for curve in curves})),
        left_out=tuple(reason for curve in candidates for reason in curve.left_out),
    )


ITSELF = Delta(value=0.0, overlap=1.0)
SAME = Comparison(rate=ITSELF, quality=ITSELF)


def _default_anchor(curves: Sequence[RateCurve]) -> RateCurve:
    return min(curves, key=lambda curve: (-len(curve.points), curve.method))


def _order(row: RateRow) -> tuple[object, ...]:
    """By the delta of the first metric at equal rate, which also curves have that share no range of quality; nulls last."""
    name, compared = next(iter(row.against_anchor.items()))
    value = compared.quality.value
    better = next((p.metrics[name].better for p in row.curve.points if name in p.metrics), None)
    return value is None, (value or 0.0) * (1 if better == "lower" else -1), row.curve.method
