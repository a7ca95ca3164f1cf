"""What ``compare`` says about speeds: noise is none of its business, a planted slowdown is."""

from __future__ import annotations

import numpy as np
import pytest
from compared import compared, findings, only, save, speed
from records import environment, make_record, metric

from vqbench.compare import render
from vqbench.compare.speed import least_p, samples_needed

COMPARISONS = 20
REPEATS = 40


@pytest.fixture
def sides(tmp_path):
    return tmp_path / "base", tmp_path / "new"


def times(draws, n=20, *, slower=1.0, busy=0.0):
    """Seconds of n calls: skewed noise, and now and then another process."""
    return slower * (0.01 * (1 + draws.gamma(1.5, 0.03, n)) + (draws.random(n) < busy) * draws.gamma(2, 0.01, n))


def record(samples, *, where=None, seed=0, **more):
    """Of a GPU, which is its process's alone, unless it is said where."""
    where = where or environment("gpu")
    number = samples if not isinstance(samples, np.ndarray) else speed(samples, **more)
    return make_record(seed=seed, where=where, metrics={"encode_images_per_second": number})


def test_twenty_comparisons_of_equals_raise_an_alarm_no_more_often_than_the_level_says(sides):
    """With a factor of 1, which leaves it to the test alone."""
    draws = np.random.default_rng(0)
    alarms = 0
    for _ in range(REPEATS):
        for seed in range(COMPARISONS):
            save(sides[0], record(times(draws, busy=0.2), seed=seed))
            save(sides[1], record(times(draws, busy=0.2), seed=seed))
        report = compared(*sides, {"rules": [{"factor": 1.0}]})
        assert report.comparisons == COMPARISONS
        alarms += any(found.verdict in ("better", "worse") for found in report.findings)
    assert alarms <= 5  # of 40 at a level of 5 %: more once in a hundred times


@pytest.mark.parametrize("busy", [0.0, 0.3])
def test_a_planted_slowdown_of_a_fifth_is_caught_among_others_that_are_none(sides, busy):
    draws = np.random.default_rng(1)
    for seed in range(COMPARISONS):
        save(sides[0], record(times(draws, busy=busy), seed=seed))
        save(sides[1], record(times(draws, busy=busy, slower=1.2 if seed == 7 else 1.0), seed=seed))
    report = compared(*sides)
    [found] = report.of("regression")
    assert found.entry.seed == 7
    assert (found.verdict, found.method) == ("worse", "Mann–Whitney over samples")
    assert [found.verdict for found in compared(sides[1], sides[0]).findings].count("better") == 1


def test_a_machine_that_is_busy_most_of_the_time_does_not_make_code_slower(sides):
    """Its median moves, its best samples do not."""
    draws = np.random.default_rng(2)
    save(sides[0], record(times(draws, 30)))
    save(sides[1], record(times(draws, 30, busy=0.7)))
    found = only(compared(*sides))
    assert found.ratio is not None
    assert found.ratio < 0.7
    assert found.verdict == "same"
    assert "busy" in found.reason


def test_one_run_on_a_cpu_does_not_tell_slow_code_from_a_machine_that_was_slow_for_as_long(sides):
    draws = np.random.default_rng(8)
    save(sides[0], record(times(draws), where=environment()))
    save(sides[1], record(times(draws, slower=1.5), where=environment()))
    found = only(compared(*sides))
    assert (found.verdict, found.effect) == ("not comparable", "undecided")
    assert "time in passes" in found.reason
    save(sides[1], record(times(draws, slower=1.02), where=environment()))
    assert only(compared(*sides)).verdict == "same"


def test_memory_needs_no_passes(sides):
    for folder, value in zip(sides, (100.0, 150.0), strict=True):
        number = metric(value, unit="MiB", board="throughput", better="lower", n=1)
        save(folder, make_record(where=environment(), metrics={"peak_memory": number}))
    assert only(compared(*sides)).verdict == "worse"


def test_significant_but_within_the_factor_is_the_same(sides):
    draws = np.random.default_rng(3)
    save(sides[0], record(times(draws, 500)))
    save(sides[1], record(times(draws, 500, slower=1.05)))
    assert only(compared(*sides)).verdict == "same"
    assert only(compared(*sides, {"rules": [{"metric": "*_per_second", "factor": 1.02}]})).verdict == "worse"


def test_speeds_of_another_environment_are_refused_even_if_equal(sides):
    samples = times(np.random.default_rng(4))
    save(sides[0], record(samples))
    save(sides[1], record(samples, where=environment("gpu", threads=4)))
    report = compared(*sides)
    found = only(report)
    assert (found.verdict, found.effect) == ("not comparable", "undecided")
    assert "other environments" in found.reason
    assert report.exit_code == 2
    save(sides[1], record(samples).model_copy(update={"environment": None}))
    assert "unknown" in only(compared(*sides)).reason


def test_quality_of_another_environment_is_compared(sides):
    metrics = {"psnr": 25.0, "encode_images_per_second": speed(times(np.random.default_rng(4)))}
    save(sides[0], make_record(metrics=metrics))
    save(sides[1], make_record(metrics=metrics, where=environment("gpu")))
    report = compared(*sides)
    assert list(findings(report)) == [
        ("psnr", "same", "none"),
        ("encode_images_per_second", "not comparable", "undecided"),
    ]
    assert report.exit_code == 2
    tolerant = compared(*sides, {"rules": [{"metric": "*_per_second", "required": False}]})
    assert tolerant.exit_code == 0
    assert tolerant.findings[1].verdict == "not comparable"


@pytest.mark.parametrize(
    ("base", "new", "verdict"),
    [
        ((100, 98, 102), (80, 79, 81), "worse"),
        ((100, 98, 102), (125, 120, 130), "better"),
        ((100, 80, 120), (85, 70, 99), "same"),  # they overlap
        ((100, 99, 101), (95, 94, 96), "same"),  # within the factor
        ((100, None, None), (80, None, None), "not comparable"),
    ],
)
def test_without_samples_the_intervals_decide(sides, base, new, verdict):
    for folder, (value, low, high) in zip(sides, (base, new), strict=True):
        save(folder, record(speed(None, value=float(value), low=low, high=high, n=20)))
    assert only(compared(*sides)).verdict == verdict


def test_a_single_reading_is_judged_by_its_size(sides):
    for folder, value in zip(sides, (100.0, 80.0), strict=True):
        save(folder, record(speed(None, value=value, n=1)))
    found = only(compared(*sides))
    assert (found.verdict, found.method) == ("worse", "size alone")


@pytest.mark.parametrize(("spread", "noisy"), [(0.005, False), (0.3, True)])
@pytest.mark.parametrize("better", ["higher", "lower"])
def test_a_speed_that_varies_too_much_to_rule_out_a_slowdown_is_said(sides, spread, noisy, better):
    for folder, start in zip(sides, (0.0, 0.01), strict=True):
        samples = 100 * (1 + spread * np.linspace(start, 1, 6))
        number = metric(float(np.median(samples)), n=6, board="throughput", better=better, samples=tuple(samples))
        save(folder, record(number))
    report = compared(*sides)
    found = only(report)
    assert (found.verdict, found.effect, found.too_noisy, report.exit_code) == ("same", "none", noisy, 0)
    assert ("cannot be ruled out" in found.reason) == noisy
    assert report.conclusion == ("no regression, but 1 too noisy to tell" if noisy else "no regression")
    assert ("TOO NOISY TO TELL" in render(report, "table")) == noisy
    assert ("1 too noisy to tell</summary>" in render(report, "markdown")) == noisy
    assert not only(compared(*sides, {"rules": [{"factor": 1.5}]})).too_noisy


def test_a_speed_that_would_just_pass_is_called_fast_enough_no_more_often_than_the_level_says(sides):
    """NEW is slower by the limit exactly: the medians differ by more or less than that, as it happens."""
    draws = np.random.default_rng(10)
    told = []
    for _ in range(5 * REPEATS):
        save(sides[0], record(times(draws)))
        save(sides[1], record(times(draws, slower=1.1)))
        found = only(compared(*sides))
        told.append(found.verdict == "same" and not found.too_noisy)
    assert sum(told) <= 17  # of 200 at a level of 5 %: more once in a hundred times


def test_too_few_samples_to_show_anything_are_not_called_the_same(sides):
    draws = np.random.default_rng(5)
    save(sides[0], record(times(draws, 3)))
    save(sides[1], record(times(draws, 3, slower=2.0)))
    found = only(compared(*sides))
    assert (found.verdict, found.reason) == ("not comparable", "3 and 3 samples are too few to tell: take 4 of both")
    save(sides[1], record(times(draws, 3)))
    assert only(compared(*sides)).verdict == "same"  # nothing to tell from chance


def test_how_many_samples_it_takes():
    from scipy.stats import mannwhitneyu

    for n in (3, 5, 8):
        assert least_p(n, n) == pytest.approx(mannwhitneyu(range(n), range(n, 2 * n), method="exact").pvalue)
    assert least_p(samples_needed(0.0025), samples_needed(0.0025)) < 0.0025


def test_equal_samples_on_both_sides_are_no_error(sides):
    save(sides[0], record(np.full(20, 0.01)))
    save(sides[1], record(np.full(20, 0.02)))
    assert only(compared(*sides)).verdict == "worse"


def test_a_speed_measured_with_a_caution_is_no_evidence(sides):
    draws = np.random.default_rng(6)
    save(sides[0], record(times(draws)))
    save(sides[1], record(times(draws, slower=1.5), caution="another process was busy"))
    found = only(compared(*sides))
    assert (found.verdict, found.effect) == ("not comparable", "undecided")
    assert found.reason.endswith("measured with a caution: another process was busy")
    save(sides[1], record(times(draws), caution="another process was busy"))
    assert only(compared(*sides)).verdict == "same"
