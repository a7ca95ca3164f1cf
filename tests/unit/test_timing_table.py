"""The suite's ``[timing]`` table: what it asks for, and which records have it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from fake_session import make_plan
from records import make_record, metric

from vqbench.plan import Setting, Timing
from vqbench.results import TimingRecord
from vqbench.run.cached import satisfies


def timed(stage: str, batch_size: int, **more: Any) -> TimingRecord:
    fields = {"threads": 1, "dtype": "fp32", "compile": False, "channels_last": False, "fingerprint": "0" * 16}
    return TimingRecord.model_validate(
        {"stage": stage, "batch_size": batch_size, "images_per_second": 1.0} | fields | more
    )


def test_without_a_table_one_evaluation_batch_is_timed_as_ever() -> None:
    assert Timing().stages == ["encode", "decode"]
    assert list(Timing().settings(32)) == [Setting(batch_size=32)] == [Timing().headline(32)]


def test_settings_are_crossed_and_the_headline_is_of_the_last_batch_and_first_dtype() -> None:
    timing = Timing(
        batch_sizes=[1, 8, 8], threads=[4, 1], dtypes=["tf32", "bf16"], compile=[False, True], channels_last=True
    )
    settings = list(timing.settings(32))
    assert len(settings) == len(set(settings)) == 2 * 2 * 2 * 2
    assert all(setting.channels_last for setting in settings)
    assert timing.headline(32) == Setting(batch_size=8, threads=4, dtype="tf32", channels_last=True)
    assert timing.headline(32) in settings


@pytest.mark.parametrize(
    "wrong",
    [
        {"batch_sizes": [0]},
        {"dtypes": ["fp16"]},
        {"dtypes": []},
        {"threads": [0]},
        {"threads": []},
        {"stages": ["train"]},
        {"seconds": 0.0},
        {"batch": [1]},
    ],
)
def test_nonsense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        Timing(**wrong)


def test_a_record_satisfies_a_suite_if_it_has_the_timings_asked_for() -> None:
    plan = make_plan("fsq")
    record = make_record(metrics={"psnr": 25.0})
    asking = replace(plan, timing=Timing(batch_sizes=[1, 8]))
    whole = [timed(stage, batch) for stage in ("encode", "decode") for batch in (1, 8)]
    assert satisfies(record, plan)  # an old one, and no table
    assert not satisfies(record, asking)
    assert satisfies(record.model_copy(update={"timings": whole}), asking)
    assert not satisfies(record.model_copy(update={"timings": whole[1:]}), asking)
    largest = [*whole[1:], timed("encode", 1, largest=True)]
    assert not satisfies(record.model_copy(update={"timings": largest}), asking)
    early = [one.model_copy(update={"threads": None}) for one in whole]
    assert not satisfies(record.model_copy(update={"timings": early}), asking)


def test_a_largest_batch_that_was_not_looked_for_is_looked_for() -> None:
    plan = replace(make_plan("fsq"), timing=Timing(largest_batch=True))
    record = make_record().model_copy(update={"timings": [timed("encode", 4), timed("decode", 4)]})
    assert not satisfies(record, plan)
    found = {"largest_batch": metric(64.0, board="throughput", unit="images")}
    assert satisfies(record.model_copy(update={"metrics": record.metrics | found}), plan)


def test_a_speed_that_is_null_needs_a_reason() -> None:
    with pytest.raises(ValueError, match="null speed needs a reason"):
        timed("encode", 1, images_per_second=None)
    assert timed("encode", 1, images_per_second=None, reason="out of memory").samples == ()
