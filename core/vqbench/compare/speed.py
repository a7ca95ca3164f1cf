"""Whether a speed changed: a test of its samples, or of its intervals.

Load makes samples slow and never fast. So a speed counts as changed by as much as both its median and its best samples moved: a
machine that was busy for a while moves the one only.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from vqbench.results import MetricRecord
from vqbench.results.speeds import best_in_ten

__all__ = ["Shift", "intervals_overlap", "least_p", "mann_whitney", "rules_out", "samples_needed", "shift_of"]


@dataclass(frozen=True)
class Shift:
    """How a speed moved: of two numbers, those of BASE and NEW that moved least, and whether they are the medians."""

    base: float
    new: float
    of: Literal["median", "best samples"]


def shift_of(base: MetricRecord, new: MetricRecord) -> Shift:
    """The lesser of what the medians and what the best samples moved; nothing where the two moved in opposite directions."""
    assert base.value is not None
    assert new.value is not None
    median = Shift(base.value, new.value, "median")
    if not (base.samples and new.samples):
        return median
    higher = new.better == "higher"
    best = Shift(best_in_ten(base.samples, higher=higher), best_in_ten(new.samples, higher=higher), "best samples")
    if (median.new - median.base) * (best.new - best.base) <= 0:
        return Shift(best.base, best.base, "best samples")
    return min(median, best, key=_size)


def _size(shift: Shift) -> float:
    return abs(math.log(shift.new / shift.base)) if shift.new > 0 and shift.base > 0 else abs(shift.new - shift.base)


def mann_whitney(first: Sequence[float], second: Sequence[float]) -> float:
    """The two-sided p of the Mann–Whitney test that neither of two samples tends to be the larger one."""
    from scipy.stats import mannwhitneyu

    if statistics.pvariance([*first, *second]) == 0:
        return 1.0
    return float(mannwhitneyu(first, second).pvalue)


def rules_out(worst: Sequence[float], new: Sequence[float], *, higher: bool, level: float) -> bool:
    """Whether samples of a speed are better than what would just pass: the one-sided Mann–Whitney test at ``level``.

    Args:
        worst: BASE's samples, each as much worse as the gate allows.
        new: NEW's samples.
        higher: whether more is better.
        level: how often it may say so of a speed that would just pass.
    """
    from scipy.stats import mannwhitneyu

    return bool(mannwhitneyu(new, worst, alternative="greater" if higher else "less").pvalue < level)


def least_p(first: int, second: int) -> float:
    """The least two-sided p that the Mann–Whitney test of so many samples can have: where all of one side are larger."""
    return min(2 / math.comb(first + second, first), 1.0)


def samples_needed(level: float) -> int:
    """How many samples both sides must have for a p below ``level`` to be possible."""
    return next(n for n in range(1, 100) if least_p(n, n) < level)


def intervals_overlap(first: MetricRecord, second: MetricRecord) -> bool | None:
    """Whether two 95 % intervals overlap; None where one is missing."""
    if first.low is None or first.high is None or second.low is None or second.high is None:
        return None
    return first.low <= second.high and second.low <= first.high
