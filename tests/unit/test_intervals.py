"""Student's and Wilson's intervals against printed tables, closed forms and scipy."""

from __future__ import annotations

import math

import pytest
from scipy import stats

from vqbench.intervals import proportion_interval, student_half_width, student_p, student_quantile

# two-sided 95 % points of Student's distribution, as printed in statistical tables
TABLE = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 9: 2.262, 10: 2.228, 30: 2.042, 60: 2.000, 120: 1.980}


@pytest.mark.parametrize(("freedom", "quantile"), TABLE.items())
def test_quantile_is_that_of_printed_tables(freedom: int, quantile: float) -> None:
    assert student_quantile(0.95, freedom) == pytest.approx(quantile, abs=5.01e-4)


@pytest.mark.parametrize("confidence", [0.1, 0.5, 0.9, 0.95, 0.99])
def test_quantile_is_the_closed_form_of_one_and_two_degrees(confidence: float) -> None:
    p = 0.5 + confidence / 2
    assert student_quantile(confidence, 1) == pytest.approx(math.tan(math.pi * (p - 0.5)), rel=1e-11)
    assert student_quantile(confidence, 2) == pytest.approx((2 * p - 1) * math.sqrt(2 / (4 * p * (1 - p))), rel=1e-11)


@pytest.mark.parametrize("freedom", [1, 2, 3, 7, 8, 23, 199, 200, 201, 202, 1000, 49_999])
def test_quantile_agrees_with_scipy(freedom: int) -> None:
    special = pytest.importorskip("scipy.special")
    for confidence in (0.5, 0.9, 0.95, 0.99):
        assert student_quantile(confidence, freedom) == pytest.approx(
            special.stdtrit(freedom, 0.5 + confidence / 2), rel=2e-11
        )


def test_half_width_is_quantile_times_standard_error() -> None:
    assert student_half_width(2.0, 4) == pytest.approx(3.18245 * 2.0 / 2.0, abs=1e-4)
    assert student_half_width(0.0, 5) == 0.0


@pytest.mark.parametrize("freedom", [1, 2, 3, 8, 23, 200, 201, 1000, 49_999])
def test_p_agrees_with_scipy(freedom: int) -> None:
    special = pytest.importorskip("scipy.special")
    for t in (0.0, 0.5, 2.0, 3.0, 5.0):
        assert student_p(t, freedom) == pytest.approx(2 * special.stdtr(freedom, -t), rel=5e-4)
    assert student_p(2.0, freedom + 0.9) == student_p(2.0, freedom)
    assert student_p(math.inf, freedom) == 0.0


@pytest.mark.parametrize(("found", "n"), [(0, 10), (1, 10), (7, 12), (50, 50), (9990, 10000)])
def test_intervals_of_proportions_are_scipys(found: int, n: int) -> None:
    expected = stats.binomtest(found, n).proportion_ci(method="wilson")
    assert proportion_interval(found / n, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_fewer_trials_make_the_interval_of_a_proportion_wider() -> None:
    low, high = proportion_interval(0.7, 20.5)
    assert proportion_interval(0.7, 20)[0] < low < 0.7 < high < proportion_interval(0.7, 20)[1]
