"""Bjøntegaard deltas: how far apart two rate–quality curves are on average.

Source: G. Bjøntegaard, "Calculation of average PSNR differences between RD-curves", VCEG-M33, 2001; computed by the library
``bjontegaard`` with piecewise cubic (PCHIP) interpolation over the logarithm of the rate.
"""

from __future__ import annotations

import math
import statistics
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypeAlias

from vqbench.intervals import student_half_width
from vqbench.leaderboard.notation import clean
from vqbench.leaderboard.rate_curves import RateCurve

__all__ = ["LEAST_POINTS", "Comparison", "Delta", "compare"]

LEAST_POINTS = 3
"""Rates that a curve needs to be compared: two would say nothing of its shape."""

Kind: TypeAlias = Literal["rate", "quality"]
Samples: TypeAlias = Sequence[tuple[float, float]]
"""(bits per pixel, quality, the higher the better), in rising order of rate."""


@dataclass(frozen=True, kw_only=True)
class Delta:
    """An average difference, test minus anchor; null, with a ``reason``, where it has no meaning.

    ``low`` and ``high`` are Student's 95 % interval over the ``n`` seeds, or null where the curves do not have the same ones.
    ``overlap`` is the fraction that the curves share of the range they cover together.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    overlap: float | None = None
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two curves in one metric.

    ``rate`` is in per cent of the anchor's rate, at equal quality: negative is better. ``quality`` is in the metric's unit, at
    equal rate: its sign is that of the metric, so negative is better where lower is (LPIPS).
    """

    rate: Delta
    quality: Delta


class _Refused(Exception):
    """Why a delta has no meaning."""


def compare(test: RateCurve, anchor: RateCurve, metric: str) -> Comparison:
    """Bjøntegaard deltas of ``test`` against ``anchor``, both of one comparable set.

    The deltas are those of the curves through the rows' means. Nothing is extrapolated.

    Args:
        test: the curve to be judged.
        anchor: the curve that it is judged against.
        metric: one of :data:`~vqbench.leaderboard.rate_curves.QUALITIES`.
    """
    return Comparison(rate=_delta("rate", test, anchor, metric), quality=_delta("quality", test, anchor, metric))


def _delta(kind: Kind, test: RateCurve, anchor: RateCurve, metric: str) -> Delta:
    try:
        sign = _sign((test, anchor), metric)
        means = [_samples(curve, metric, sign) for curve in (test, anchor)]
        for curve, samples in zip((test, anchor), means, strict=True):
            _check(kind, curve, samples, metric)
        value = _bjontegaard(kind, *means) * (1 if kind == "rate" else sign)
    except _Refused as refused:
        return Delta(value=None, reason=str(refused))
    low, high, n = _interval(kind, value, _by_seed(kind, test, anchor, metric, sign))
    return Delta(
        value=value,
        low=low,
        high=high,
        n=n,
        overlap=_overlap(*(_base(kind, samples) for samples in means)),
    )


def _sign(curves: Sequence[RateCurve], metric: str) -> int:
    """1 where a higher number is better, else -1."""
    definitions = set()
    for curve in curves:
        for point in curve.points:
            found = point.metrics.get(metric)
            if found is None or found.value is None:
                why = "it was not measured" if found is None else clean(found.reason)
                raise _Refused(f"{clean(point.label)} has no {metric}: {why}")
            definitions.add(found.definition)
    if len(definitions) > 1:
        raise _Refused(f"{metric} was measured by different definitions")
    if len(definitions) == 1 and (better := next(iter(definitions))[1]) in ("higher", "lower"):
        return 1 if better == "higher" else -1
    raise _Refused(f"nothing says whether a high or a low {metric} is better")


def _samples(curve: RateCurve, metric: str, sign: int) -> Samples:
    values = [(point.bits_per_pixel, point.metrics[metric].value) for point in curve.points]
    return [(rate, sign * value) for rate, value in values if value is not None]


def _check(kind: Kind, curve: RateCurve, samples: Samples, metric: str) -> None:
    """Refuse what is no curve: too few points, two at one rate, or (for quality as the argument) one that does not rise."""
    name = clean(curve.method)
    if len(samples) < LEAST_POINTS:
        raise _Refused(f"{name} was run at {len(samples)} rates, and {LEAST_POINTS} are needed")
    for (rate, quality), (next_rate, next_quality) in pairwise(samples):
        if next_rate <= rate:
            raise _Refused(f"{name} has several rows at {rate:.4g} bits/pixel")
        if kind == "rate" and next_quality <= quality:
            raise _Refused(f"{metric} of {name} gets no better from {rate:.4g} to {next_rate:.4g} bits/pixel")


def _base(kind: Kind, samples: Samples) -> list[float]:
    """What the average goes over: quality for the delta of the rate, the rate's logarithm for that of the quality."""
    return [quality if kind == "rate" else math.log10(rate) for rate, quality in samples]


def _overlap(a: Sequence[float], b: Sequence[float]) -> float:
    shared = min(max(a), max(b)) - max(min(a), min(b))
    return max(shared, 0.0) / (max(*a, *b) - min(*a, *b))


def _bjontegaard(kind: Kind, test: Samples, anchor: Samples) -> float:
    """The delta of checked samples, in per cent or in the quality's unit."""
    if _overlap(_base(kind, test), _base(kind, anchor)) == 0:
        raise _Refused(f"the curves share no range of {'quality' if kind == 'rate' else 'rate'}")
    import bjontegaard

    function = bjontegaard.bd_rate if kind == "rate" else bjontegaard.bd_psnr
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of numbers too large, which are refused below
        (rates, qualities), (test_rates, test_qualities) = (zip(*samples, strict=True) for samples in (anchor, test))
        value = float(
            function(
                rates,
                qualities,
                test_rates,
                test_qualities,
                method="pchip",
                require_matching_points=False,
                min_overlap=0,
            )
        )
    if not math.isfinite(value):
        raise _Refused("the difference is too large to be computed")
    return value


def _by_seed(kind: Kind, test: RateCurve, anchor: RateCurve, metric: str, sign: int) -> list[float]:
    """The delta of each seed's own curves; none where the curves' seeds differ, or one has no delta."""
    values = []
    for seed in sorted(test.seeds) if test.seeds == anchor.seeds else ():
        own = [_samples_of_seed(curve, metric, sign, seed) for curve in (test, anchor)]
        try:
            for curve, samples in zip((test, anchor), own, strict=True):
                _check(kind, curve, samples, metric)
            values.append(_bjontegaard(kind, *own))
        except _Refused:
            return []
    return values


def _interval(kind: Kind, value: float, by_seed: Sequence[float]) -> tuple[float | None, float | None, int]:
    """Low and high of Student's 95 % interval around ``value``, and the number of seeds; that of a rate over its logarithm."""
    n = len(by_seed)
    if n < 2:
        return None, None, 0
    if kind == "quality":
        half = student_half_width(statistics.stdev(by_seed), n)
        return value - half, value + half, n
    try:
        half = student_half_width(statistics.stdev(math.log1p(percent / 100) for percent in by_seed), n)
        low, high = (100 * math.expm1(math.log1p(value / 100) + side) for side in (-half, half))
    except (ValueError, OverflowError):  # a factor of 0, or beyond what a float can hold
        return None, None, 0
    return low, high, n


def _samples_of_seed(curve: RateCurve, metric: str, sign: int, seed: int) -> Samples:
    own = [point.by_seed[seed] for point in curve.points]
    return sorted((rate, sign * values[metric]) for rate, values in own if metric in values)
