"""The throughput board: a table for each environment and batch size, quality beside speed, the Pareto front."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from records import make_record, metric

from vqbench.leaderboard import Group, make_leaderboard, render
from vqbench.leaderboard.layout import heading, remarks
from vqbench.leaderboard.speed import pareto_front
from vqbench.results import CellRecord, TimingRecord
from vqbench.results.speeds import speed_metric, speed_name

FP32, BF16 = "0" * 16, "1" * 16


def timing(stage: str = "encode", batch_size: int = 8, speed: float | None = 100.0, **more: Any) -> TimingRecord:
    samples = () if speed is None else (speed,) * 20
    fields = {"dtype": "fp32", "compile": False, "channels_last": False, "fingerprint": FP32, "samples": samples}
    fields |= {"low": speed, "high": speed, "reason": "out of memory" if speed is None else None}
    return TimingRecord.model_validate(
        {"stage": stage, "batch_size": batch_size, "images_per_second": speed} | fields | more
    )


def timed(quantizer: str, *timings: TimingRecord, psnr: float | None = 25.0, **more: Any) -> CellRecord:
    metrics = {} if psnr is None else {"psnr": metric(psnr, 0.1)}
    metrics |= {speed_name(t): speed_metric(t) for t in timings if not t.largest}
    record = make_record(quantizer=quantizer, metrics=metrics, timings=list(timings), **more)
    assert record.environment
    where = record.environment.model_copy(update={"fingerprint": FP32, "batch_size": timings[-1].batch_size})
    return record.model_copy(update={"environment": where})


def groups(*records: CellRecord, **options: Any) -> tuple[Group, ...]:
    (board,) = make_leaderboard(records, boards=["throughput"], **options).boards
    return board.groups


def test_each_environment_and_batch_size_has_a_table_of_its_own() -> None:
    settings = [
        timing(batch_size=1, speed=10.0),
        timing(batch_size=8, speed=50.0),
        timing(batch_size=8, speed=90.0, dtype="bf16", fingerprint=BF16),
        timing(batch_size=64, speed=99.0, largest=True),
    ]
    made = groups(timed("fsq", *settings), timed("vq", *settings))
    assert [(g.environment.dtype, g.batch_size) for g in made if g.environment] == [
        ("float32", 1),
        ("float32", 8),
        ("bf16 autocast", 8),
    ]
    assert all(len(group.rows) == 2 for group in made)
    assert [group.rows[0].row.metrics["encode_images_per_second"].value for group in made] == [10.0, 50.0, 90.0]
    assert len({group.id for group in made}) == 3
    assert "batch 8" in heading(made[1])
    assert "batch-8" in made[1].names


def test_threads_have_tables_of_their_own_and_early_records_those_of_their_environment() -> None:
    early, new = timed("early", timing()), timed("new", timing(threads=1), timing(threads=64, fingerprint=BF16))
    assert early.environment
    assert early.environment.threads == 2
    assert [group.environment.threads for group in groups(early) if group.environment] == [2]
    made = groups(new)
    assert [group.environment.threads for group in made if group.environment] == [1, 64]
    assert "64 threads, float32" in heading(made[1])


def test_all_stages_and_what_they_take_are_columns() -> None:
    record = timed(
        "fsq",
        timing("encode", latency_ms_p95=80.0, peak_bytes=3 << 20),
        timing("quantize", peak_bytes=5 << 20),
        timing("end_to_end", joules_per_image=0.5),
    )
    (group,) = groups(record)
    shown = {column.name: (column.of(group.rows[0].row).value, column.unit) for column in group.columns}
    assert shown["quantize_images_per_second"] == (100.0, "images/s")
    assert shown["encode_ms_p95"] == (80.0, "ms")
    assert shown["peak_memory"] == (5.0, "MiB")
    assert shown["end_to_end_joules_per_image"] == (0.5, "J")


def test_speeds_within_a_tenth_share_a_rank_however_narrow_their_intervals() -> None:
    speeds = {"a": 100.0, "b": 95.0, "c": 91.0, "d": 90.0, "e": 82.0, "f": 10.0}
    records = [timed(name, timing(speed=v, low=v * 0.999, high=v * 1.001)) for name, v in speeds.items()]
    (group,) = groups(*records)
    assert [(ranked.row.quantizer.label, ranked.rank) for ranked in group.rows] == [
        ("a", 1),
        ("b", 1),
        ("c", 1),
        ("d", 4),
        ("e", 4),
        ("f", 6),
    ]
    text = render(make_leaderboard(records, boards=["throughput"]), "table", width=200)
    assert "within a factor of 1.1" in " ".join(text.split())


def test_speeds_too_few_for_an_interval_are_told_apart_by_the_factor_alone() -> None:
    records = [
        timed(name, timing(speed=v, low=None, high=None)) for name, v in (("a", 100.0), ("b", 92.0), ("c", 50.0))
    ]
    (group,) = groups(*records)
    assert [ranked.rank for ranked in group.rows] == [1, 1, 3]


def test_what_could_not_be_timed_is_null_with_its_reason() -> None:
    (group,) = groups(timed("fsq", timing(speed=None)), timed("vq", timing()))
    assert [(ranked.rank, ranked.row.quantizer.label) for ranked in group.rows] == [(1, "vq"), (None, "fsq")]
    assert "no encode_images_per_second: out of memory (fsq × unet)" in remarks(group)


def test_noise_is_shown_as_a_caution() -> None:
    (group,) = groups(timed("fsq", timing(noisy="the interval is wide; others were busy")))
    assert any("noisy: the interval is wide" in text for text in remarks(group))


def test_records_without_timings_stay_readable_beside_new_ones() -> None:
    old = make_record(quantizer="old", metrics={"psnr": 25.0, "encode_images_per_second": 9.0})
    assert not old.timings
    made = groups(old, timed("new", timing()))
    assert [[ranked.row.quantizer.label for ranked in group.rows] for group in made] == [["new"], ["old"]]
    assert made[1].batch_size is None


def test_quality_stands_beside_speed_and_the_front_is_marked() -> None:
    numbers = {"fast": (100.0, 20.0), "good": (50.0, 30.0), "neither": (40.0, 25.0), "slow": (100.0, 19.0)}
    records = [timed(name, timing(speed=speed), psnr=psnr) for name, (speed, psnr) in numbers.items()]
    (group,) = groups(*records)
    assert [column.name for column in group.columns][:2] == ["encode_images_per_second", "psnr"]
    front = {r.row.quantizer.label: on for r, on in zip(group.rows, group.pareto, strict=True)}
    assert front == {"fast": True, "good": True, "neither": False, "slow": False}
    made = make_leaderboard(records, boards=["throughput"])
    assert render(made, "table", width=200).count("front") == 3  # and in the legend
    rows = json.loads(render(made, "json", width=80))["rows"]
    assert {row["quantizer"]: row["pareto"] for row in rows} == front


def test_quality_ranks_no_throughput_board() -> None:
    records = [timed("fast", timing(speed=100.0), psnr=20.0), timed("good", timing(speed=50.0), psnr=30.0)]
    (group,) = groups(*records, sort="psnr")
    assert group.ranked_by is not None
    assert group.ranked_by.name == "encode_images_per_second"


def test_the_untrained_have_no_quality_and_the_board_says_so() -> None:
    (group,) = groups(timed("fsq", timing(), recipe={"steps": 0}))
    assert [column.name for column in group.columns] == ["encode_images_per_second"]
    assert group.pareto == ()
    assert "untrained, so no quality beside speed" in remarks(group)
    (group,) = groups(timed("fsq", timing(), psnr=None))
    assert "no quality beside speed: psnr was not measured" in remarks(group)


def test_seeds_in_one_setting_are_one_row() -> None:
    (group,) = groups(timed("fsq", timing(speed=10.0)), timed("fsq", timing(speed=20.0), seed=1))
    (ranked,) = group.rows
    assert ranked.row.metrics["encode_images_per_second"].value == 15.0
    assert ranked.row.seeds == (0, 1)


@pytest.mark.parametrize("form", ["table", "markdown", "csv", "json", "html"])
def test_every_format_shows_tables_of_several_batches(form: Any) -> None:
    made = make_leaderboard([timed("fsq", timing(batch_size=1), timing(batch_size=8))], boards=["throughput"])
    assert "encode_images_per_second" in render(made, form, width=200).replace("\n", "")


@given(st.lists(st.none() | st.tuples(st.integers(0, 5), st.integers(0, 5))))
def test_the_front_is_what_nothing_else_beats(points: list[tuple[int, int] | None]) -> None:
    front = pareto_front(points)
    for point, on_front in zip(points, front, strict=True):
        if point is None:
            assert on_front is None
            continue
        beaten = any(o and o[0] >= point[0] and o[1] >= point[1] and o != point for o in points)
        assert on_front is not beaten
