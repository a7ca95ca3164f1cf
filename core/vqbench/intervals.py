"""Intervals of means."""

from __future__ import annotations

import math

__all__ = ["student_half_width"]


def student_half_width(standard_deviation: float, n: int, *, confidence: float = 0.95) -> float:
    """Half the width of Student's confidence interval of a mean.

    Args:
        standard_deviation: of the n values, with ddof = 1.
        n: number of independent values, at least 2.
        confidence: in (0, 1).
    """
    from scipy.special import stdtrit  # imported late: scipy is slow to import

    return float(stdtrit(n - 1, 0.5 + confidence / 2)) * standard_deviation / math.sqrt(n)
