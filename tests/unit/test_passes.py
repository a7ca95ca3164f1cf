"""Several runs as passes: what becomes of their speeds, and what ``compare`` can tell by them that one run cannot."""

from __future__ import annotations

import numpy as np
import pytest
from compared import compared, findings, only, save
from timings import FP32, timed, timing

from vqbench.errors import RecordError
from vqbench.results import merge_passes

SPEED = "encode_images_per_second"
CELLS = 3


def runs(*speeds, **more):
    return [timed(timing([speed], **more)) for speed in speeds]


def test_each_run_is_one_sample_of_a_speed_the_best_of_its_own_in_ten():
    first, second = (timed(timing(np.arange(1.0, 12.0) * k, latency_ms_p50=k)) for k in (1.0, 2.0))
    merged = merge_passes(first, [second])
    [found] = merged.timings
    assert (found.samples, found.passes, found.images_per_second) == ((10.0, 20.0), 2, 15.0)
    assert found.latency_ms_p50 == 1.5
    number = merged.metrics[SPEED]
    assert (number.value, number.samples, number.n) == (15.0, (10.0, 20.0), 2)
    assert number.protocol != first.metrics[SPEED].protocol


def test_everything_but_speeds_is_the_first_runs():
    first, second = (timed(timing([100.0]), started=f"2025-01-0{day}T00:00:00+00:00") for day in (1, 2))
    merged = merge_passes(first, [second])
    assert merged.model_copy(update={"timings": first.timings, "metrics": first.metrics}) == first


def test_only_what_was_timed_in_one_environment_and_has_a_number_is_a_pass():
    first, *others = runs(100.0, 110.0)
    others += runs(1.0, fingerprint="2" * 16) + runs(1.0, batch_size=1) + [timed(timing(None))]
    others.append(timed(timing([1.0], largest=True), timing([2.0], 1)))
    assert merge_passes(first, others).timings[0].samples == (100.0, 110.0)
    [null] = merge_passes(timed(timing(None)), runs(1.0)).timings
    assert (null.images_per_second, null.passes) == (None, 1)
    largest = timing([100.0], largest=True)
    assert merge_passes(timed(largest), [timed(largest)]).timings == [largest]


def test_speeds_of_a_few_passes_have_no_interval_and_say_so():
    first, *others = runs(*np.linspace(99, 101, 6))
    assert merge_passes(first, others).timings[0].noisy is None
    few = merge_passes(first, others[:1])
    assert few.timings[0].noisy == "too few passes for an interval"
    assert few.metrics[SPEED].caution == "noisy: too few passes for an interval"


def test_runs_that_were_merged_already_are_refused():
    first, second = runs(100.0, 101.0)
    merged = merge_passes(first, [second])
    for record, others in ((merged, [second]), (first, [merged])):
        with pytest.raises(RecordError, match="of several runs already"):
            merge_passes(record, others)
    with pytest.raises(RecordError, match="too many passes"):
        merge_passes(first, [second] * 200)


def test_one_run_and_several_are_not_compared(tmp_path):
    first, *others = runs(*np.linspace(99, 101, 6))
    save(tmp_path / "one", first)
    save(tmp_path / "several", merge_passes(first, others))
    assert only(compared(tmp_path / "one", tmp_path / "several")).verdict == "not comparable"


def loaded(draws, load, *, slower=1.0):
    """One run on a busy machine: all samples of a process share a load, each has some of its own and some are interrupted."""
    seconds = slower * load * (0.01 + draws.gamma(1.5, 0.0003, 40)) + (draws.random(40) < 0.4) * draws.gamma(
        2, 0.01, 40
    )
    return timing(1 / seconds, fingerprint=FP32)


def sides(folder, draws, passes, *, slow=None):
    """BASE and NEW, timed in turn, cell by cell; a cell of NEW may be a fifth slower."""
    for name in ("base", "new"):
        for cell in range(CELLS):
            slower = 1.2 if (name, cell) == ("new", slow) else 1.0
            made = [timed(loaded(draws, 1 + draws.gamma(0.5, 0.06), slower=slower), seed=cell) for _ in range(passes)]
            save(folder / name, merge_passes(made[0], made[1:]))
    return folder / "base", folder / "new"


def test_twenty_comparisons_of_a_commit_with_itself_under_load_raise_no_more_alarms_than_the_level_says(tmp_path):
    draws = np.random.default_rng(0)
    alarms = 0
    for trial in range(20):
        report = compared(*sides(tmp_path / str(trial), draws, 6), {"rules": [{"factor": 1.0}]})  # the test alone
        assert report.comparisons == CELLS
        alarms += any(found.verdict in ("worse", "better") for found in report.findings)
    assert alarms <= 4  # of 20 at a level of 5 %: more once in four hundred times


def test_a_planted_slowdown_of_a_fifth_in_one_cell_is_caught_under_load(tmp_path):
    draws = np.random.default_rng(1)
    caught = 0
    for trial in range(20):
        report = compared(*sides(tmp_path / str(trial), draws, 7, slow=1))
        caught += [found.entry.seed for found in report.of("regression")] == [1]
    assert caught >= 17


def test_a_setting_that_only_some_runs_have_is_merged_from_those(tmp_path):
    first = timed(timing([100.0]), timing([50.0], 1))
    merged = merge_passes(first, [timed(timing([101.0]))])
    assert [one.passes for one in merged.timings] == [2, 1]
    assert list(findings(compared(save(tmp_path, merged), tmp_path)))[1][0] == f"{SPEED} (batch 1, fp32, eager)"
