"""The rate–distortion board as a picture."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, TypeAlias

from vqbench.leaderboard.notation import ARROWS, clean, clip
from vqbench.leaderboard.rate_board import RateBoard, RateGroup
from vqbench.leaderboard.rate_curves import RateCurve
from vqbench.leaderboard.rate_layout import AXIS_NAMES, metric_shape
from vqbench.results.store import write_atomically

__all__ = ["PLOT_SUFFIXES", "plot_rate_board"]

PLOT_SUFFIXES = (".png", ".svg")
MOST_GROUPS = 12
MOST_COLUMNS = 3
MOST_TICKS = 6
PANEL = (4.6, 3.6)  # inches
DOTS_PER_INCH = 110
LONGEST_NAME = 40
MARKERS = "osD^vPX"
COLOURS = 10

Panel: TypeAlias = "tuple[RateGroup, str]"
"""A group and the metric that is drawn of it."""


def plot_rate_board(board: RateBoard, path: Path) -> None:
    """Draw a panel for each group and metric, in it a line for each method through points with their 95 % intervals.

    The first 12 groups are drawn. A method has one colour and marker in all panels. The file depends on the board alone.

    Args:
        board: what to draw.
        path: where to; ends in one of :data:`PLOT_SUFFIXES`.

    Raises:
        ResultsError: the file cannot be written.
    """
    import matplotlib
    import matplotlib.style
    from matplotlib.figure import Figure

    lines = _arranged(board.groups[:MOST_GROUPS])
    columns = max(map(len, lines))
    methods = sorted({row.curve.method for line in lines for group, _ in line for row in group.rows})
    looks = dict(zip(methods, product(MARKERS, range(COLOURS)), strict=False))
    with matplotlib.style.context("default"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of characters that the font does not have
        matplotlib.rcParams["svg.hashsalt"] = "vqbench"
        figure = Figure(figsize=(PANEL[0] * columns, PANEL[1] * len(lines)), dpi=DOTS_PER_INCH, layout="constrained")
        axes = figure.subplots(len(lines), columns, squeeze=False)
        handles: dict[str, Any] = {}
        for places, line in zip(axes, lines, strict=True):
            for place in places[len(line) :]:
                place.set_axis_off()
            for place, (group, metric) in zip(places, line, strict=False):
                handles |= _draw(place, group, metric, board, looks)
        names = sorted(handles)
        legend = figure.legend(
            [handles[name] for name in names],
            [f" {_text(name)}" for name in names],  # matplotlib leaves out what begins with an underscore
            loc="outside lower center",
            ncols=min(len(names), 2 * columns),
        )
        for text in legend.get_texts():
            text.set_parse_math(False)
        buffer = io.BytesIO()
        form = path.suffix.lower().removeprefix(".")
        figure.savefig(buffer, format=form, metadata={"Date": None} if form == "svg" else None)
    write_atomically(path, buffer.getvalue())


def _arranged(groups: Sequence[RateGroup]) -> list[list[Panel]]:
    """Lines of panels: groups side by side, their metrics below each other."""
    lines = []
    for start in range(0, len(groups), MOST_COLUMNS):
        some = groups[start : start + MOST_COLUMNS]
        for metric in dict.fromkeys(name for group in some for name in group.metrics):
            lines.append([(group, metric) for group in some if metric in group.metrics])
    return lines


def _draw(
    place: Any, group: RateGroup, metric: str, board: RateBoard, looks: Mapping[str, tuple[str, int]]
) -> dict[str, Any]:
    """One panel; the drawn line of each method."""
    handles = {}
    rates: set[float] = set()
    for row in group.rows:
        marker, colour = looks.get(row.curve.method, ("o", 0))
        points = _points(row.curve, metric)
        if not points:
            continue
        x, y, below, above = zip(*points, strict=True)
        drawn = place.errorbar(
            x, y, yerr=(below, above), marker=marker, color=f"C{colour}", markersize=4, linewidth=1.2, capsize=2
        )
        handles[row.curve.method] = drawn
        rates |= set(x)
    _label(place, group, metric, board, rates)
    return handles


def _points(curve: RateCurve, metric: str) -> list[tuple[float, float, float, float]]:
    """Rate, value, and how far the interval reaches below and above it (0 where there is none)."""
    points = []
    for point in curve.points:
        number = point.metrics.get(metric)
        if number is None or number.value is None:
            continue
        below = 0.0 if number.low is None else max(number.value - number.low, 0.0)
        above = 0.0 if number.high is None else max(number.high - number.value, 0.0)
        points.append((point.bits_per_pixel, number.value, below, above))
    return points


def _label(place: Any, group: RateGroup, metric: str, board: RateBoard, rates: set[float]) -> None:
    unit, better = metric_shape(group, metric)
    several = len({other.protocol for other in board.groups}) > 1
    place.set_title(
        f"{_text(group.dataset)} {group.image_size}×{group.image_size} · {_text(group.backbone)}"
        + (f"\nprotocol {group.protocol[:8]}" if several else ""),
        fontsize="medium",
        parse_math=False,
    )
    place.set_xlabel(f"bits per pixel ({AXIS_NAMES[board.axis]})")
    place.set_ylabel(f"{metric}{f' [{_text(unit)}]' if unit else ''} {ARROWS[better]}".rstrip(), parse_math=False)
    place.set_xscale("log", base=2)
    if len(rates) <= MOST_TICKS:
        place.set_xticks(sorted(rates))
    place.xaxis.set_major_formatter(lambda rate, _: f"{rate:.3g}")
    place.xaxis.set_minor_formatter(lambda *_: "")
    place.grid(alpha=0.3)


def _text(name: str) -> str:
    return clip(clean(name), LONGEST_NAME)
