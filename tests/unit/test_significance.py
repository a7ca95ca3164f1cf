"""Comparisons of two numbers: how often equals are called different, what is found, and what is left undecided."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy import stats

from vqbench.intervals import JACKKNIFE, student_half_width
from vqbench.significance import LEVEL, Over, compare

IMAGES = 256
TRIALS = 800
TOLERANCE = 2.6 * math.sqrt(LEVEL * (1 - LEVEL) / TRIALS)  # a simulated share goes beyond it once in a hundred


@dataclass(frozen=True)
class Measured:
    value: float | None
    low: float | None
    high: float | None
    n: int
    over: Over = "measurements"
    interval: str | None = None


def measured(values: np.ndarray, over: Over = "measurements") -> Measured:
    mean, half = float(values.mean()), student_half_width(float(values.std(ddof=1)), len(values))
    return Measured(mean, mean - half, mean + half, len(values), over)


def psnr(draws: np.random.Generator, *, seeds: int = 1, better_by: float = 0.0, spread: float = 0.0) -> np.ndarray:
    """PSNR of each image ``(seeds, IMAGES)`` but for what the images themselves contribute: noise, and an offset per seed."""
    return better_by + draws.normal(0, 0.5, (seeds, IMAGES)) + draws.normal(0, spread, (seeds, 1))


def test_two_equals_differ_on_the_same_images_no_more_often_than_the_level_says() -> None:
    draws = np.random.default_rng(0)
    found = 0
    for _ in range(TRIALS):
        images = draws.normal(25, 3, IMAGES)
        a, b = images + psnr(draws)[0], images + psnr(draws)[0]
        comparison = compare(measured(a), measured(b), images=lambda pair=(a, b): pair)
        assert comparison is not None
        assert comparison.method == "paired bootstrap over images"
        found += comparison.p < LEVEL
    assert abs(found / TRIALS - LEVEL) < TOLERANCE


@pytest.mark.parametrize("seeds", [(3, 3), (5, 5), (2, 3), (1, 3)])
@pytest.mark.parametrize("ratio", [1, 10])
def test_two_equals_differ_over_seeds_no_more_often_than_the_level_says(seeds: tuple[int, int], ratio: float) -> None:
    """Also where one trains more unevenly than the other, which a test with pooled variances does not survive."""
    draws = np.random.default_rng(0)
    found = 0
    for _ in range(TRIALS):
        a, b = (psnr(draws, seeds=n, spread=s).mean(1) for n, s in zip(seeds, (0.1, 0.1 * ratio), strict=True))
        first = measured(a, "seeds") if len(a) > 1 else Measured(float(a[0]), None, None, IMAGES)
        comparison = compare(first, measured(b, "seeds"))
        assert comparison is not None
        found += comparison.p < LEVEL
    assert found / TRIALS < LEVEL + TOLERANCE


def test_images_do_not_stand_in_for_seeds() -> None:
    """Seeds differ by more than their images explain: why several seeds are compared over seeds, be images ever so many."""
    draws = np.random.default_rng(0)
    found = 0
    for _ in range(200):
        a, b = (psnr(draws, seeds=3, spread=0.2).mean(0) for _ in range(2))
        comparison = compare(measured(a), measured(b), images=lambda pair=(a, b): pair)
        found += comparison is not None and comparison.p < LEVEL
    assert found / 200 > 0.5


def test_two_tenths_of_a_decibel_are_found_among_ten_rows() -> None:
    draws = np.random.default_rng(0)
    found = 0
    for _ in range(200):
        images = draws.normal(25, 3, IMAGES)
        a, b = images + psnr(draws, better_by=0.2)[0], images + psnr(draws)[0]
        comparison = compare(measured(a), measured(b), images=lambda pair=(a, b): pair, comparisons=9)
        found += comparison is not None and comparison.verdict == "higher"
    assert found / 200 > 0.9


def test_intervals_alone_are_cautious_on_the_same_images() -> None:
    draws = np.random.default_rng(0)
    for _ in range(200):
        images = draws.normal(25, 3, IMAGES)
        comparison = compare(measured(images + psnr(draws)[0]), measured(images + psnr(draws)[0]))
        assert comparison is not None
        assert comparison.method == "Welch's t of intervals"
        assert comparison.verdict == "not significant"


def test_numbers_of_all_images_together_are_not_called_different_more_often_than_the_level_says() -> None:
    """One grows with what an image contributes where the other shrinks; quadrature would err three times as often."""
    draws = np.random.default_rng(0)
    found = in_quadrature = 0
    for _ in range(TRIALS):
        influences = draws.normal(0, 1, IMAGES)
        first, second = (replace(measured(side), interval=JACKKNIFE) for side in (influences, -influences))
        comparison = compare(first, second)
        assert comparison is not None
        assert comparison.method == "Student's t, errors added"
        found += comparison.p < LEVEL
        plain = compare(replace(first, interval=None), replace(second, interval=None))
        assert plain is not None
        in_quadrature += plain.p < LEVEL
    assert abs(found / TRIALS - LEVEL) < TOLERANCE
    assert in_quadrature / TRIALS > 2 * LEVEL


def test_seeds_are_compared_by_welchs_test() -> None:
    a, b = np.array([20.0, 20.4, 20.3]), np.array([19.5, 19.8, 19.2, 19.6])
    expected = stats.ttest_ind(a, b, equal_var=False)
    comparison = compare(measured(a, "seeds"), measured(b, "seeds"), comparisons=3)
    assert comparison is not None
    assert comparison.difference == pytest.approx(a.mean() - b.mean())
    # degrees of freedom are rounded down, here from 4.97
    assert expected.pvalue < comparison.p < 1.5 * expected.pvalue
    assert (
        comparison.low
        < expected.confidence_interval().low
        < 0.5
        < expected.confidence_interval().high
        < comparison.high
    )
    assert comparison.p_corrected == 3 * comparison.p
    assert (comparison.verdict, comparison.n) == ("higher", 7)


def test_one_seed_is_compared_with_several_as_one_more_of_them() -> None:
    several = np.array([20.0, 20.4, 20.3])
    comparison = compare(Measured(18.0, None, None, IMAGES), measured(several, "seeds"))
    assert comparison is not None
    t = (several.mean() - 18.0) / (several.std(ddof=1) * math.sqrt(1 + 1 / 3))
    assert comparison.p == pytest.approx(2 * stats.t.sf(t, 2), rel=1e-6)
    assert comparison.verdict == "lower"


def test_what_cannot_be_tested_is_none() -> None:
    known, unknown = measured(np.arange(5.0)), Measured(2.0, None, None, 5)
    assert compare(known, Measured(None, None, None, 5)) is None
    assert compare(known, unknown) is None
    assert compare(known, measured(np.arange(6.0))) is None
    assert compare(unknown, unknown, images=lambda: None) is None
    different = np.arange(5.0), np.arange(6.0)
    assert compare(known, known, images=lambda: different) is None


def test_numbers_without_spread_are_equal_or_not() -> None:
    same, other = Measured(1.0, 1.0, 1.0, 3, "seeds"), Measured(2.0, 2.0, 2.0, 3, "seeds")
    for first, second, p in ((same, same, 1.0), (same, other, 0.0)):
        comparison = compare(first, second)
        assert comparison is not None
        assert comparison.p == p


def test_speeds_are_compared_by_their_intervals_however_many_repetitions() -> None:
    fast = Measured(value=110.0, low=108.0, high=112.0, n=20, over="repetitions")
    slow = Measured(value=100.0, low=98.0, high=102.0, n=12, over="repetitions")
    found = compare(fast, slow)
    assert found is not None
    assert (found.verdict, found.method, found.n) == ("higher", "Welch's t of intervals", 12)
    assert compare(fast, Measured(value=100.0, low=None, high=None, n=3, over="repetitions")) is None
