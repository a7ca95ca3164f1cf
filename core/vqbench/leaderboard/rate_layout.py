"""What all formats made for reading say of the rate–distortion board, as plain text."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from vqbench.leaderboard.layout import LONGEST_NAME, LONGEST_REASON, TextColumn
from vqbench.leaderboard.notation import ARROWS, NOTHING, clean, clip
from vqbench.leaderboard.rate_board import RateBoard, RateGroup, RateRow
from vqbench.leaderboard.rate_deltas import Delta

__all__ = ["AXIS_NAMES", "RATE_TITLE", "metric_shape", "rate_columns", "rate_heading", "rate_note", "rate_remarks"]

RATE_TITLE = "Rate–distortion"
USUAL_POINTS = 4
GOOD_OVERLAP = 0.75
FEW = "†"
AXIS_NAMES = {
    "nominal": "nominal bits",
    "entropy": "empirical entropy of the codes",
    "actual": "size of the entropy-coded codes",
}


def rate_heading(group: RateGroup) -> str:
    """What the group's curves have in common."""
    return " · ".join(
        [
            f"{clean(group.dataset)} {group.image_size}×{group.image_size}",
            clip(clean(group.backbone), LONGEST_NAME),
            f"{group.images_seen} images seen",
            f"protocol {group.protocol[:8]}",
            f"anchor {clip(clean(group.anchor.method), LONGEST_NAME)}",
        ]
    )


def rate_columns(group: RateGroup) -> list[TextColumn]:
    """The group as columns of text, most important first."""
    rows = group.rows
    columns = [
        TextColumn(title="quantizer", cells=tuple(_name(group, row) for row in rows), essential=True, numeric=False)
    ]
    for name in group.metrics:
        unit, better = metric_shape(group, name)
        columns.append(_deltas(f"BD-rate by {name} [%] {ARROWS['lower']}", name, rows, _rate, 1, essential=True))
        title = f"BD-{name}{f' [{unit}]' if unit else ''} {ARROWS[better]}".rstrip()
        columns.append(_deltas(title, name, rows, _quality, 2 if unit == "dB" else 4, essential=name == "psnr"))
    columns += [
        TextColumn(title="rates", cells=tuple(str(len(row.curve.points)) for row in rows)),
        TextColumn(title="bits/pixel", cells=tuple(_span([p.bits_per_pixel for p in r.curve.points]) for r in rows)),
    ]
    return columns


def rate_remarks(group: RateGroup) -> list[str]:
    """What a reader must know about the numbers of a group."""
    said: dict[str, list[str]] = {}
    for row in group.rows:
        for name, compared in row.against_anchor.items():
            for title, delta in ((f"BD-rate by {name}", compared.rate), (f"BD-{name}", compared.quality)):
                if delta.reason:
                    said.setdefault(f"no {title}: {clean(delta.reason)}", []).append(row.curve.method)
                elif _mark(delta) and delta.overlap is not None:
                    text = f"{FEW} {title} rests on less than {100 * GOOD_OVERLAP:.0f} % of the range that the two curves cover"
                    said.setdefault(text, []).append(f"{row.curve.method}: {100 * delta.overlap:.0f} %")
    remarks = [f"{clip(text, LONGEST_REASON)} ({_some(names)})" for text, names in said.items()]
    if min(len(row.curve.points) for row in group.rows) < USUAL_POINTS:
        remarks.append(f"Bjøntegaard deltas are usually taken over {USUAL_POINTS} rates or more; here are fewer")
    remarks += [clip(text, LONGEST_REASON) for text in group.left_out]
    if group.alone:
        remarks.append(f"run at one rate only: {_some(group.alone)}")
    return remarks


def rate_note(board: RateBoard) -> str:
    """How to read the board."""
    return (
        f"Curves of quality over {AXIS_NAMES[board.axis]} per pixel, each against the anchor. BD-rate: how much more rate "
        "the same quality takes; negative is better. BD-psnr, BD-lpips_alex: how much higher the number is at the same rate; "
        "positive is better for psnr, negative for lpips_alex. Averages over the range that both curves cover, along PCHIP "
        "curves through the means over the logarithm of the rate. ± and [ ]: Student's 95 % intervals over the seeds."
    )


def _name(group: RateGroup, row: RateRow) -> str:
    anchor = " (anchor)" if row.curve is group.anchor else ""
    return clip(clean(row.curve.method), LONGEST_NAME) + anchor


def metric_shape(group: RateGroup, name: str) -> tuple[str, str | None]:
    """Unit and direction of one of the group's metrics."""
    found = next(p.metrics[name] for row in group.rows for p in row.curve.points if name in p.metrics)
    return "" if found.unit == "1" else clean(found.unit), found.better


def _rate(row: RateRow, name: str) -> Delta:
    return row.against_anchor[name].rate


def _quality(row: RateRow, name: str) -> Delta:
    return row.against_anchor[name].quality


def _deltas(
    title: str,
    name: str,
    rows: Sequence[RateRow],
    of: Callable[[RateRow, str], Delta],
    decimals: int,
    *,
    essential: bool,
) -> TextColumn:
    deltas = [of(row, name) for row in rows]
    return TextColumn(
        title=title,
        cells=tuple(_text(delta, decimals) for delta in deltas),
        brief=tuple(_value(delta, decimals) for delta in deltas),
        essential=essential,
        details=tuple(map(_detail, deltas)),
    )


def _text(delta: Delta, decimals: int) -> str:
    """The value with its interval: ``±half``, or ``[low, high]`` where that is lopsided in the digits shown."""
    text = _value(delta, decimals)
    if delta.value is None or delta.low is None or delta.high is None:
        return text
    above, below = delta.high - delta.value, delta.value - delta.low
    if abs(above - below) <= 10.0**-decimals:
        return f"{text} ±{(above + below) / 2:.{decimals}f}"
    return f"{text} [{_signed(delta.low, decimals)}, {_signed(delta.high, decimals)}]"


def _value(delta: Delta, decimals: int) -> str:
    return NOTHING if delta.value is None else _mark(delta) + _signed(delta.value, decimals)


def _signed(value: float, decimals: int) -> str:
    rounded = round(value, decimals) + 0.0  # + 0.0: no "-0.00"
    return f"{rounded:+.{decimals}f}" if rounded else f"{rounded:.{decimals}f}"


def _mark(delta: Delta) -> str:
    return FEW if delta.overlap is not None and delta.overlap < GOOD_OVERLAP else ""


def _detail(delta: Delta) -> str:
    if delta.value is None:
        return clean(delta.reason)
    if delta.low is None:
        return repr(delta.value)
    return f"{delta.value!r}, 95 % interval {delta.low!r} to {delta.high!r}, n = {delta.n} seeds"


def _span(values: Sequence[float]) -> str:
    return f"{min(values):.4g}–{max(values):.4g}"


def _some(names: Sequence[str], most: int = 12) -> str:
    more = len(names) - most
    text = ", ".join(clip(clean(name), LONGEST_NAME) for name in names[:most])
    return text + (f" and {more} more" if more > 0 else "")
