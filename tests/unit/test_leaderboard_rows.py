"""Records become rows: what is put together, what never is."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from records import component, environment, make_record, metric

from vqbench.intervals import BOOTSTRAP, STUDENT
from vqbench.leaderboard import make_rows
from vqbench.leaderboard.rows import unfinished_cells


def test_one_seed_keeps_its_own_interval() -> None:
    own = metric(25.0, 0.5, n=24).model_copy(update={"interval": BOOTSTRAP})
    (row,) = make_rows([make_record(metrics={"psnr": own})], "quality")
    psnr = row.metrics["psnr"]
    assert (psnr.value, psnr.low, psnr.high, psnr.n, psnr.over) == (25.0, 24.5, 25.5, 24, "measurements")
    assert psnr.interval == BOOTSTRAP


def test_seeds_are_averaged_with_students_interval_over_the_seeds() -> None:
    records = [make_record(seed=seed, metrics={"psnr": metric(24.0 + seed, 9.0)}) for seed in range(3)]
    (row,) = make_rows(records, "quality")
    psnr = row.metrics["psnr"]
    half = 4.302653 * 1.0 / math.sqrt(3)  # values 24, 25, 26: standard deviation 1; Student's point for 2 degrees
    assert (psnr.value, psnr.n, psnr.over) == (25.0, 3, "seeds")
    assert psnr.interval == STUDENT
    assert psnr.low == pytest.approx(25 - half, abs=1e-6)
    assert psnr.high == pytest.approx(25 + half, abs=1e-6)
    assert row.seeds == (0, 1, 2)
    assert row.cell_ids == tuple(record.cell_id for record in records)


def test_a_null_of_one_seed_is_neither_skipped_nor_zero() -> None:
    records = [make_record(seed=0), make_record(seed=1, metrics={"psnr": metric(None, reason="weights are missing")})]
    (row,) = make_rows(records, "quality")
    psnr = row.metrics["psnr"]
    assert (psnr.value, psnr.low, psnr.high) == (None, None, None)
    assert psnr.reason == "seed 1: weights are missing"


def test_a_metric_that_one_seed_lacks_is_null_with_a_reason() -> None:
    records = [make_record(seed=0, metrics={"psnr": 25.0, "ssim": 0.9}), make_record(seed=1)]
    (row,) = make_rows(records, "quality")
    assert row.metrics["ssim"].value is None
    assert row.metrics["ssim"].reason == "not measured for seed 1"
    assert row.metrics["psnr"].value == 25.0


def test_seeds_measured_by_different_definitions_are_not_averaged() -> None:
    records = [make_record(seed=seed, metrics={"psnr": metric(25.0, version=seed + 1)}) for seed in range(2)]
    (row,) = make_rows(records, "quality")
    assert row.metrics["psnr"].value is None
    assert "different definitions" in (row.metrics["psnr"].reason or "")


def test_numbers_too_large_to_average_are_null() -> None:
    records = [make_record(seed=seed, metrics={"l1": 1.7e308}) for seed in range(2)]
    (row,) = make_rows(records, "quality")
    assert row.metrics["l1"].value is None
    assert row.metrics["l1"].reason == "too large to average"


@pytest.mark.parametrize(
    "change",
    [
        {"quantizer": component("fsq", levels=5)},
        {"quantizer": component("fsq", version=2)},
        {"quantizer": component("fsq").model_copy(update={"label": "FSQ again"})},
        {"backbone": "vit"},
        {"dataset": "textures"},
        {"recipe": {"steps": 1000, "lr": 2e-3}},
        {"levels": ((8, (512,)),)},
        {"image_size": 128},
        {"images_seen": 1},
        {"revision": "2"},
        {"trained_as": component("gaussian_vae")},
    ],
    ids=lambda change: next(iter(change)),
)
def test_seeds_of_different_things_never_share_a_row(change: dict[str, object]) -> None:
    rows = make_rows([make_record(seed=0), make_record(seed=1, **change)], "quality")  # type: ignore[arg-type]
    assert sorted(row.seeds for row in rows) == [(0,), (1,)]


def test_speeds_of_two_machines_are_two_rows_and_their_quality_is_one() -> None:
    numbers = {"psnr": 25.0, "encode_images_per_second": 100.0}
    records = [make_record(seed=seed, metrics=numbers, where=environment(f"gpu {seed}")) for seed in range(2)]
    assert [row.seeds for row in make_rows(records, "throughput")] == [(0,), (1,)]
    (row,) = make_rows(records, "quality")
    assert row.seeds == (0, 1)
    assert row.environment is None


def test_a_cell_recorded_twice_counts_once_with_its_newest_numbers() -> None:
    old = make_record(metrics={"psnr": 20.0}, started="2025-01-01T00:00:00+00:00", suite="a")
    new = make_record(metrics={"psnr": 30.0}, started="2025-02-01T00:00:00+00:00", suite="b")
    for records in ([old, new], [new, old]):
        (row,) = make_rows(records, "quality")
        assert (row.metrics["psnr"].value, row.seeds) == (30.0, (0,))
        assert row.notes == ("seed 0 was recorded 2 times; the newest counts",)


def test_a_failed_seed_is_missing_and_not_averaged() -> None:
    records = [make_record(seed=0), make_record(seed=1, failure=("timeout", "too slow"))]
    (row,) = make_rows(records, "quality")
    assert row.seeds == (0,)
    assert [record.seed for record in row.missing] == [1]


def test_nothing_ok_makes_no_row() -> None:
    assert make_rows([make_record(failure=("failed", "boom"))], "quality") == []


def test_a_cell_that_is_ok_elsewhere_is_not_unfinished() -> None:
    ok, failed = make_record(suite="a"), make_record(suite="b", failure=("failed", "boom"))
    assert unfinished_cells([ok, failed]) == []
    assert make_rows([ok, failed], "quality")[0].missing == ()
    assert unfinished_cells([failed]) == [failed]


def test_bits_come_from_the_levels_and_a_disagreement_is_noted() -> None:
    (row,) = make_rows([make_record(bits_per_image=1.0)], "quality")
    assert row.rate.bits == 512.0
    assert row.bits_per_pixel == 512 / 64**2
    assert row.notes == ("seed 0 states 1.0 bits per image, its levels have 512.0",)


def test_codes_in_use_are_averaged_over_seeds_of_one_layout() -> None:
    records = [make_record(seed=seed, levels=((4, (256,)), (8, (64, 64)))) for seed in range(2)]
    records[1] = records[1].model_copy(
        update={"code_usage": [slot.model_copy(update={"active": 1}) for slot in records[1].code_usage]}
    )
    (row,) = make_rows(records, "usage")
    assert [(s.level, s.slot, s.codebook_size, s.active) for s in row.usage] == [
        (0, 0, 256, 64.5),
        (1, 0, 64, 16.5),
        (1, 1, 64, 16.5),
    ]
    (row,) = make_rows([records[0], records[1].model_copy(update={"code_usage": []})], "usage")
    assert row.usage == ()


@given(
    values=st.lists(st.floats(0, 60, allow_nan=False), min_size=2, max_size=6),
    shuffle=st.randoms(use_true_random=False),
)
def test_the_order_of_records_changes_nothing(values: list[float], shuffle: random.Random) -> None:
    records = [make_record(seed=seed, metrics={"psnr": value}) for seed, value in enumerate(values)]
    (row,) = make_rows(records, "quality")
    shuffled = list(records)
    shuffle.shuffle(shuffled)
    (again,) = make_rows(shuffled, "quality")
    assert again.metrics == row.metrics
    assert again.seeds == row.seeds
    psnr = row.metrics["psnr"]
    assert psnr.value is not None
    assert psnr.low is not None
    assert psnr.high is not None
    assert min(values) - 1e-9 <= psnr.value <= max(values) + 1e-9
    assert psnr.low <= psnr.value <= psnr.high
