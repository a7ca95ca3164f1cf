"""Numbers and texts as people read them."""

from __future__ import annotations

import math
from typing import Protocol

__all__ = ["ARROWS", "NOTHING", "Number", "clean", "clip", "count", "with_interval", "without_interval"]


class Number(Protocol):
    """A value with its unit and, or null, its 95 % interval."""

    @property
    def value(self) -> float | None: ...
    @property
    def low(self) -> float | None: ...
    @property
    def high(self) -> float | None: ...
    @property
    def unit(self) -> str: ...


ARROWS = {"higher": "↑", "lower": "↓", None: ""}
NOTHING = "–"
DECIMALS_BY_UNIT = {"db": 2, "%": 1}
LARGEST_PLAIN = 1e9
LOPSIDED = 0.1
"""How much longer than the other, relative to their mean, one side of an interval is before both ends are shown."""


def without_interval(name: str, metric: Number | None) -> str:
    """The value alone, in the digits that its metric deserves."""
    if metric is None or metric.value is None:
        return NOTHING
    return _number(metric.value, _decimals(name, metric))


def with_interval(name: str, metric: Number | None) -> str:
    """``value ±half``, or ``value [low, high]`` where the interval is clearly lopsided."""
    text = without_interval(name, metric)
    if metric is None or metric.value is None or metric.low is None or metric.high is None:
        return text
    decimals = _decimals(name, metric)
    above, below = metric.high - metric.value, metric.value - metric.low
    half = (above + below) / 2
    if abs(above - below) <= max(10.0**-decimals, LOPSIDED * half) and above >= 0:
        return f"{text} ±{_number(half, decimals)}"
    return f"{text} [{_number(metric.low, decimals)}, {_number(metric.high, decimals)}]"


def _decimals(name: str, metric: Number) -> int:
    """Decimals to show; negative ones round to tens, hundreds …"""
    assert metric.value is not None
    size = abs(metric.value)
    magnitude = math.floor(math.log10(size)) if size else 0
    if (fixed := DECIMALS_BY_UNIT.get(metric.unit.strip().lower())) is not None:
        return fixed
    if "ssim" in name.lower():
        return 4
    if metric.unit.endswith("/s") or name.endswith("_per_second"):
        return 2 - magnitude  # a timing has no more than three digits worth reading
    if size >= 10:
        return max(3 - magnitude, 0)
    return 4 if size >= 0.01 or not size else 2 - magnitude


def _number(value: float, decimals: int) -> str:
    if abs(value) >= LARGEST_PLAIN or decimals > 12:
        return f"{value:.3g}"
    rounded = round(value, decimals)
    return f"{rounded + 0.0:.{max(decimals, 0)}f}"  # + 0.0: no "-0.00"


def count(value: float) -> str:
    """A whole number, or a mean of whole numbers with one decimal."""
    return str(int(value)) if value == int(value) else f"{value:.1f}"


def clean(text: object) -> str:
    """A text in one line that is safe to print: what cannot be printed becomes a space or a replacement mark."""
    string = str(text)
    if string.isprintable():
        return string
    return "".join(c if c.isprintable() else " " if c.isspace() else "\N{REPLACEMENT CHARACTER}" for c in string)


def clip(text: str, most: int) -> str:
    """At most ``most`` characters, with an ellipsis where something was cut."""
    return text if len(text) <= most else text[: most - 1] + "…"
