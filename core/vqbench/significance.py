"""Whether two measured means differ by more than chance."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from vqbench.intervals import JACKKNIFE, student_p, student_quantile

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Pair: TypeAlias = "tuple[npt.NDArray[np.floating], npt.NDArray[np.floating]]"

__all__ = ["LEVEL", "Comparison", "Method", "Number", "Over", "compare", "compare_images"]

LEVEL = 0.05
Over: TypeAlias = Literal["measurements", "repetitions", "seeds"]
Method: TypeAlias = Literal[
    "paired bootstrap over images",
    "Welch's t over seeds",
    "Student's t, one seed against several",
    "Welch's t of intervals",
    "Student's t, errors added",
]


class Number(Protocol):
    """A number with its 95 % interval, over ``n`` test images or the like of one seed, repetitions (of a speed) or seeds."""

    @property
    def value(self) -> float | None: ...
    @property
    def low(self) -> float | None: ...
    @property
    def high(self) -> float | None: ...
    @property
    def interval(self) -> str | None: ...
    @property
    def n(self) -> int: ...
    @property
    def over(self) -> Over: ...


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A difference, first minus second, with its own 95 % interval and the two-sided p of a test that it is zero.

    ``n`` counts what the difference was measured on: images, seeds (both sides' together), or the measurements of either side.
    ``comparisons`` is how many were made together; :attr:`p_corrected` accounts for that, the interval does not.
    """

    difference: float
    low: float
    high: float
    p: float
    n: int
    method: Method
    comparisons: int = 1

    @property
    def p_corrected(self) -> float:
        """Bonferroni's p: that any of so many comparisons of equals would show such a difference is no more likely."""
        return min(self.p * self.comparisons, 1.0)

    @property
    def verdict(self) -> Literal["higher", "lower", "not significant"]:
        """How the first compares with the second at ``LEVEL``."""
        if self.p_corrected >= LEVEL:
            return "not significant"
        return "higher" if self.difference > 0 else "lower"


def compare(
    first: Number, second: Number, *, images: Callable[[], Pair | None] | None = None, comparisons: int = 1
) -> Comparison | None:
    """Test whether two numbers of one definition, measured on the same images, differ; None where nothing can tell.

    * Several seeds on both sides: Welch's t over the seeds' means. Seeds differ by more than images explain, so pairing images
      would not help; and it speaks of the methods as trained.
    * One seed against several: Student's t that takes the one to vary as the several do.
    * One seed each, with values of each image: the paired bootstrap. It speaks of these two trained checkpoints on such
      images, not of how a method's seeds differ.
    * One seed each and no values: Welch's t made of the two intervals, if they are of equally many measurements. For means
      over the same images that is cautious: it leaves out that both find the same images hard. Numbers made of all images
      together (jackknife) may depend on an image in opposite ways, so their standard errors are added instead.
    * Speeds of one seed each: Welch's t made of the two intervals, of however many repetitions.

    Args:
        first, second: the numbers.
        images: gives the values of each image behind both, ``(N,)`` each in one order, or None; called only where needed.
        comparisons: how many are made together.
    """
    if first.value is None or second.value is None:
        return None
    if first.over == second.over == "measurements":
        pair = images() if images else None
        if pair is not None:
            return compare_images(*pair, comparisons=comparisons)
        if first.n != second.n:
            return None
        if JACKKNIFE in (first.interval, second.interval):
            return _errors_added(first, second, comparisons)
        return _welch(first, second, "Welch's t of intervals", comparisons)
    if first.over == second.over == "repetitions":
        return _welch(first, second, "Welch's t of intervals", comparisons)
    if first.over == second.over:
        return _welch(first, second, "Welch's t over seeds", comparisons)
    return _one_against_several(first, second, comparisons)


def compare_images(
    first: npt.NDArray[np.floating], second: npt.NDArray[np.floating], *, comparisons: int = 1
) -> Comparison | None:
    """Paired bootstrap of the mean difference between values ``(N,)`` of the same images; None where the Ns differ or are 1."""
    from vqbench.bootstrap import mean_test

    if len(first) != len(second) or len(first) < 2:
        return None
    differences = first.astype("float64") - second
    low, high, p = mean_test(differences)
    return Comparison(
        difference=float(differences.mean()),
        low=low,
        high=high,
        p=p,
        n=len(differences),
        method="paired bootstrap over images",
        comparisons=comparisons,
    )


def _welch(first: Number, second: Number, method: Method, comparisons: int) -> Comparison | None:
    errors = [_standard_error(first), _standard_error(second)]
    if errors[0] is None or errors[1] is None:
        return None
    a, b = errors[0] ** 2, errors[1] ** 2
    spread = a**2 / (first.n - 1) + b**2 / (second.n - 1)
    freedom = (a + b) ** 2 / spread if spread else 1.0  # Welch–Satterthwaite
    n = min(first.n, second.n) if method == "Welch's t of intervals" else first.n + second.n
    return _student(first, second, math.sqrt(a + b), freedom, n, method, comparisons)


def _errors_added(first: Number, second: Number, comparisons: int) -> Comparison | None:
    """No standard error of a difference is larger, however the two depend on each other."""
    errors = [_standard_error(first), _standard_error(second)]
    if errors[0] is None or errors[1] is None:
        return None
    return _student(
        first, second, errors[0] + errors[1], first.n - 1, first.n, "Student's t, errors added", comparisons
    )


def _one_against_several(first: Number, second: Number, comparisons: int) -> Comparison | None:
    several = first if first.over == "seeds" else second
    error = _standard_error(several)
    if error is None:
        return None
    method: Method = "Student's t, one seed against several"
    spread = error * math.sqrt(several.n + 1)  # deviation of one seed · sqrt(1 + 1 / n)
    return _student(first, second, spread, several.n - 1, several.n + 1, method, comparisons)


def _student(
    first: Number, second: Number, error: float, freedom: float, n: int, method: Method, comparisons: int
) -> Comparison:
    assert first.value is not None
    assert second.value is not None
    difference = first.value - second.value
    if error:
        p = student_p(abs(difference) / error, freedom)
        half = student_quantile(0.95, math.floor(freedom)) * error
    else:
        p, half = float(not difference), 0.0
    return Comparison(
        difference=difference,
        low=difference - half,
        high=difference + half,
        p=p,
        n=n,
        method=method,
        comparisons=comparisons,
    )


def _standard_error(number: Number) -> float | None:
    """Of the mean, from its interval: the error that Student's interval of that width has."""
    if number.low is None or number.high is None or number.n < 2:
        return None
    return (number.high - number.low) / 2 / student_quantile(0.95, number.n - 1)
