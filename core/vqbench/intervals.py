"""The kinds of interval; Student's intervals and tests of means, intervals of a median and of a proportion."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from statistics import NormalDist

__all__ = [
    "BOOTSTRAP",
    "JACKKNIFE",
    "ORDER_STATISTICS",
    "STUDENT",
    "median_interval",
    "proportion_interval",
    "student_half_width",
    "student_p",
    "student_quantile",
]

BOOTSTRAP = "bootstrap over images"
"""Of a mean over images (:mod:`vqbench.bootstrap`)."""
JACKKNIFE = "jackknife over images"
"""Of a number made of all images together, such as a distance between distributions."""
ORDER_STATISTICS = "order statistics of repetitions"
"""Of a median (:func:`median_interval`)."""
STUDENT = "Student's t over seeds"
"""Of a mean over seeds (:func:`student_half_width`)."""

SERIES_LIMIT = 200
"""Degrees of freedom up to which the exact finite series is summed; beyond, the expansion is good to 1e-12 (95 %)."""


def median_interval(values: Sequence[float], *, confidence: float = 0.95) -> tuple[float | None, float | None]:
    """Distribution-free confidence interval of a median, from order statistics; None where there are too few values.

    The k-th smallest and k-th largest of n values enclose the median with probability 1 - 2·P(Binomial(n, 1/2) < k).
    """
    ordered, n = sorted(values), len(values)
    below, k = 0.0, 0
    while k < n // 2 and 2 * (below + math.comb(n, k) / 2**n) <= 1 - confidence:
        below += math.comb(n, k) / 2**n
        k += 1
    return (ordered[k - 1], ordered[n - k]) if k else (None, None)


def proportion_interval(share: float, n: float, *, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's confidence interval of a probability.

    Args:
        share: the fraction found, in [0, 1].
        n: of how many independent trials; a fraction where dependent ones are worth that many.
        confidence: in (0, 1).

    Source: Wilson, Probable Inference, the Law of Succession, and Statistical Inference (1927).
    """
    z2 = NormalDist().inv_cdf(0.5 + confidence / 2) ** 2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 * share * (1 - share) / n + (z2 / (2 * n)) ** 2) / (1 + z2 / n)
    return min(max(middle - half, 0.0), share), max(min(middle + half, 1.0), share)  # rounding leaves 0 and 1 out


def student_half_width(standard_deviation: float, n: int, *, confidence: float = 0.95) -> float:
    """Half the width of Student's confidence interval of a mean.

    Args:
        standard_deviation: of the n values, with ddof = 1.
        n: number of independent values, at least 2.
        confidence: in (0, 1).
    """
    return student_quantile(confidence, n - 1) * standard_deviation / math.sqrt(n)


@lru_cache(maxsize=1024)
def student_quantile(confidence: float, freedom: int) -> float:
    """The t with ``P(|T| <= t) = confidence`` for Student's T with ``freedom`` degrees of freedom.

    In plain Python, so that reading records needs no numerical library.

    Args:
        confidence: in (0, 1).
        freedom: at least 1.

    Source: Abramowitz & Stegun, 26.7.3 and 26.7.4 (series), 26.7.5 (expansion).
    """
    if freedom > SERIES_LIMIT:
        return _expansion(NormalDist().inv_cdf(0.5 + confidence / 2), freedom)
    low, high = 0.0, math.pi / 2  # of the angle atan(t / sqrt(freedom)), in which the probability is smooth
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if _probability(middle, freedom) < confidence else (low, middle)
    return math.tan(low) * math.sqrt(freedom)


def student_p(t: float, freedom: float) -> float:
    """``P(|T| >= t)`` for Student's T.

    In plain Python; right to 1e-3 of itself above ``SERIES_LIMIT`` degrees of freedom, to 1e-14 below.

    Args:
        t: at least 0, may be infinite.
        freedom: at least 1; a fraction, which Welch's test has, is left out, to the safe side.

    Source: Abramowitz & Stegun, 26.7.3 and 26.7.4 (series); for many degrees of freedom Wallace,
    Bounds on Normal Approximations to Student's and the Chi-Square Distributions (1959).
    """
    freedom = math.floor(freedom)
    if freedom <= SERIES_LIMIT or math.isinf(t):
        return max(1 - _probability(math.atan(t / math.sqrt(freedom)), min(freedom, SERIES_LIMIT)), 0.0)
    normal = (8 * freedom + 1) / (8 * freedom + 3) * math.sqrt(freedom * math.log1p(t * t / freedom))
    return math.erfc(normal / math.sqrt(2))


def _probability(angle: float, freedom: int) -> float:
    """P(|T| <= t) with t = sqrt(freedom) · tan(angle)."""
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = freedom % 2
    if freedom == 1:
        return 2 * angle / math.pi
    term = total = cosine if odd else 1.0
    for k in range(2 if odd else 1, freedom - 2, 2):
        term *= cosine * cosine * k / (k + 1)
        total += term
    return 2 / math.pi * (angle + sine * total) if odd else sine * total


def _expansion(x: float, freedom: int) -> float:
    """Student's quantile from the normal one, in powers of 1 / freedom."""
    g1 = (x**3 + x) / 4
    g2 = (5 * x**5 + 16 * x**3 + 3 * x) / 96
    g3 = (3 * x**7 + 19 * x**5 + 17 * x**3 - 15 * x) / 384
    g4 = (79 * x**9 + 776 * x**7 + 1482 * x**5 - 1920 * x**3 - 945 * x) / 92160
    return x + g1 / freedom + g2 / freedom**2 + g3 / freedom**3 + g4 / freedom**4
