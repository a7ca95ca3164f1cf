"""Bootstrap intervals and tests of means: against scipy, and by how often they are right."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from vqbench import bootstrap
from vqbench.bootstrap import RESAMPLES, mean_interval, mean_test, resampled_means
from vqbench.intervals import student_half_width


def normal(n: int, *, seed: int = 0, mean: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, 1.0, n)


def test_resamples_are_the_same_each_time_and_however_they_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    values = normal(100)
    first = resampled_means(values)
    assert first.shape == (RESAMPLES,)
    assert np.array_equal(first, resampled_means(values.copy()))
    monkeypatch.setattr(bootstrap, "CHUNK", 1)
    assert np.array_equal(first, resampled_means(values))


def test_the_interval_is_scipys_percentile_interval_of_many_values() -> None:
    values = np.exp(normal(2000))
    expected = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=5000, rng=1).confidence_interval
    width = expected.high - expected.low
    assert mean_interval(values) == pytest.approx((expected.low, expected.high), abs=0.05 * width)


@pytest.mark.parametrize("n", [8, 24])
def test_the_interval_covers_the_mean_also_of_few_images(n: int) -> None:
    """The plain percentile interval would cover 88 % of means of 8 and 92.5 % of means of 24."""
    covered = sum(low <= 0 <= high for low, high in (mean_interval(normal(n, seed=i)) for i in range(800)))
    assert covered / 800 > 0.95 - 0.025


def test_few_seeds_need_students_interval() -> None:
    """Why rows over seeds have Student's interval: no percentile of three seeds' means covers more than 75 %."""
    bootstrapped = student = 0
    for i in range(800):
        seeds = normal(3, seed=i)
        low, high = mean_interval(seeds)
        bootstrapped += low <= 0 <= high
        student += abs(seeds.mean()) <= student_half_width(float(seeds.std(ddof=1)), 3)
    assert bootstrapped / 800 < 0.80
    assert student / 800 > 0.95 - 0.025


@pytest.mark.parametrize("mean", [0.1, 0.2, 0.29, 0.5])
def test_p_is_students_for_normal_values(mean: float) -> None:
    values = normal(256)
    values += mean - values.mean()
    low, high, p = mean_test(values)
    expected = stats.ttest_1samp(values, 0)
    assert p == pytest.approx(expected.pvalue, rel=0.3, abs=0.003)
    interval = expected.confidence_interval()
    assert (low, high) == pytest.approx((interval.low, interval.high), abs=0.01)
    assert mean_test(-values) == pytest.approx((-high, -low, p), rel=0.2, abs=0.01)


def test_p_and_interval_agree_on_what_is_significant() -> None:
    for i in range(200):
        low, high, p = mean_test(normal(40, seed=i, mean=0.3))
        if abs(p - 0.05) > 0.005:
            assert (p < 0.05) == (low > 0 or high < 0)


def test_values_without_spread_differ_from_zero_or_do_not() -> None:
    assert mean_test(np.zeros(5)) == (0.0, 0.0, 1.0)
    assert mean_test(np.ones(5)) == (1.0, 1.0, 0.0)
