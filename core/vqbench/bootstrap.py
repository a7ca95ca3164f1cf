"""Bootstrap intervals and tests of means. Imports numpy, so import it late.

Source: Efron & Tibshirani, An Introduction to the Bootstrap (1993), ch. 13 and 16; the widening of short samples: Hesterberg,
What Teachers Should Know About the Bootstrap (2015), section 5.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from vqbench.intervals import student_half_width, student_p, student_quantile

__all__ = ["RESAMPLES", "mean_interval", "mean_test", "resampled_means"]

RESAMPLES = 2000
SEED = 0
CHUNK = 1 << 20
"""Drawn indices that are in memory at once."""
COUNTABLE = 3.0
"""Standard errors up to which :func:`mean_test` counts resamples: of 2,000, fewer than three reach farther."""

Values = npt.NDArray[np.floating]


def resampled_means(values: Values) -> npt.NDArray[np.float64]:
    """Means of ``RESAMPLES`` samples, drawn with replacement, of the values ``(n,)``; the same draws for the same n."""
    values = np.asarray(values, np.float64)
    draws = np.random.default_rng(SEED)
    rows = max(CHUNK // len(values), 1)
    parts = (min(rows, RESAMPLES - start) for start in range(0, RESAMPLES, rows))
    return np.concatenate([values.take(draws.integers(0, len(values), (part, len(values)))).mean(1) for part in parts])


def mean_interval(values: Values, *, confidence: float = 0.95) -> tuple[float, float]:
    """The percentile interval of the mean of independent values ``(n,)``, n at least 2.

    The percentiles lie a little farther out than ``confidence`` says, so that on normal values the interval is as wide as
    Student's: the plain one is too short for few values.
    """
    return _percentiles(resampled_means(values), len(values), confidence)


def _percentiles(means: Values, n: int, confidence: float) -> tuple[float, float]:
    outside = NormalDist().cdf(-student_quantile(confidence, n - 1) * math.sqrt(n / (n - 1)))
    low, high = np.quantile(means, [outside, 1 - outside])
    return float(low), float(high)


def mean_test(values: Values) -> tuple[float, float, float]:
    """Whether the mean of independent values ``(n,)``, n at least 2, is zero: its 95 % interval, and the two-sided p.

    p is twice the share of resampled means beyond zero, widened as :func:`mean_interval` is. Where the mean is more than
    ``COUNTABLE`` standard errors from zero, too few resamples are there to be counted: interval and p are Student's.
    """
    values = np.asarray(values, np.float64)
    n, mean, deviation = len(values), float(values.mean()), float(values.std(ddof=1))
    if not deviation:
        return mean, mean, float(not mean)
    t = abs(mean) / deviation * math.sqrt(n)
    if t > COUNTABLE:
        half = student_half_width(deviation, n)
        return mean - half, mean + half, student_p(t, n - 1)
    means = resampled_means(values)
    beyond = int(np.sum(means <= 0 if mean > 0 else means >= 0))
    share = min((beyond + 1) / (RESAMPLES + 1), 0.5)
    low, high = _percentiles(means, n, 0.95)
    return low, high, student_p(-NormalDist().inv_cdf(share) * math.sqrt((n - 1) / n), n - 1)
