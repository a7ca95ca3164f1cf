"""``compare`` on all timings of a record: every stage in every setting, each once."""

from __future__ import annotations

import numpy as np
import pytest
from compared import compared, findings, save
from timings import timed, timing

from vqbench.results import TimingRecord

HEADLINE = "encode_images_per_second"
SMALL = "encode_images_per_second (batch 1, fp32, eager)"
HALF = "encode_images_per_second (batch 8, bf16, compiled)"


@pytest.fixture
def sides(tmp_path):
    return tmp_path / "base", tmp_path / "new"


def draws(seed: int, speed: float = 100.0) -> np.ndarray:
    return speed / (1 + np.random.default_rng(seed).gamma(1.5, 0.02, 20))


def settings(seed: int, *, half: float = 100.0) -> tuple[TimingRecord, ...]:
    return timing(draws(seed)), timing(draws(seed + 1), 1), timing(draws(seed + 2, half), dtype="bf16")


def test_every_setting_is_compared_and_the_headline_once(sides):
    report = compared(save(sides[0], timed(*settings(0))), save(sides[1], timed(*settings(10))))
    assert list(findings(report)) == [(name, "same", "none") for name in (HEADLINE, SMALL, HALF)]
    assert report.comparisons == 3


def test_a_slowdown_in_a_setting_beside_the_headline_is_found(sides):
    report = compared(save(sides[0], timed(*settings(0))), save(sides[1], timed(*settings(10, half=80.0))))
    [found] = report.of("regression")
    assert (found.metric, found.verdict, found.method) == (HALF, "worse", "Mann–Whitney over samples")


def test_a_setting_has_the_fingerprint_of_its_own_dtype(sides):
    other = timing(draws(2), dtype="bf16", fingerprint="2" * 16)
    report = compared(save(sides[0], timed(*settings(0))), save(sides[1], timed(*settings(0)[:2], other)))
    assert list(findings(report)) == [
        (HEADLINE, "same", "none"),
        (SMALL, "same", "none"),
        (HALF, "not comparable", "undecided"),
    ]


def test_a_setting_that_is_gone_is_a_regression_and_one_that_never_was_is_none(sides):
    without = timing(None, dtype="tf32")
    save(sides[0], timed(*settings(0), without))
    save(sides[1], timed(timing(draws(0)), timing(None, 1), without))
    assert list(findings(compared(*sides))) == [
        (HEADLINE, "same", "none"),
        (SMALL, "missing", "regression"),
        (HALF, "missing", "regression"),
        ("encode_images_per_second (batch 8, tf32, eager)", "same", "none"),
    ]


def test_the_largest_batch_which_may_be_another_is_left_out(sides):
    for folder, size in zip(sides, (64, 128), strict=True):
        save(folder, timed(timing(draws(0)), timing(draws(1), size, largest=True)))
    assert list(findings(compared(*sides))) == [(HEADLINE, "same", "none")]


@pytest.mark.parametrize(
    ("glob", "left"),
    [
        ("*_per_second", set()),
        ("encode_images_per_second", set()),
        ("*bf16*", {HEADLINE, SMALL}),
        ("* (batch 1, *)", {HEADLINE, HALF}),
        (SMALL, {HEADLINE, HALF}),
        ("decode*", {HEADLINE, SMALL, HALF}),
    ],
)
def test_globs_match_a_speed_with_and_without_its_setting(sides, glob, left):
    save(sides[0], timed(*settings(0)))
    report = compared(sides[0], sides[0], {"rules": [{"metric": glob, "ignore": True}]})
    assert {found.metric for found in report.findings} == left
