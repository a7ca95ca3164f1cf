"""Ranks and ties: what the numbers' noise, the images and the seeds leave undecided."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from records import make_record, metric

from vqbench.intervals import JACKKNIFE
from vqbench.leaderboard import Leaderboard, RankedRow, make_leaderboard, render
from vqbench.results import CellRecord, MetricRecord, StoredValues
from vqbench.results.values import write_values

IMAGES = 200


def ranked(made: Leaderboard) -> tuple[RankedRow, ...]:
    ((group,),) = [board.groups for board in made.boards]
    return group.rows


def ranks(made: Leaderboard) -> list[tuple[int | None, str]]:
    return [(row.rank, row.row.quantizer.label) for row in ranked(made)]


def quality(**numbers: MetricRecord) -> Leaderboard:
    records = [make_record(quantizer=name, metrics={"psnr": number}) for name, number in numbers.items()]
    return make_leaderboard(records, boards=["quality"])


def results_with_images(
    folder: Path, advantages: Mapping[str, float], *, stored: float = 0.0
) -> tuple[list[CellRecord], Path]:
    """Records of methods on the same 200 hard and easy images, and the values of each image, off by ``stored``."""
    draws = np.random.default_rng(0)
    images = draws.normal(25, 3, IMAGES)
    records = []
    (folder / "suite" / "values").mkdir(parents=True, exist_ok=True)
    for name, advantage in advantages.items():
        values = images + draws.normal(advantage, 0.3, IMAGES)
        half = 1.96 * values.std(ddof=1) / IMAGES**0.5
        record = make_record(quantizer=name, metrics={"psnr": metric(float(values.mean()), half, n=IMAGES)})
        write_values(folder / "suite" / "values" / f"{record.cell_id}.safetensors", {"psnr": values + stored})
        records.append(record)
    return records, folder


def test_rows_share_a_rank_until_one_differs_significantly_from_its_first_row() -> None:
    made = quality(a=metric(30.0, 0.5), b=metric(29.8, 0.5), c=metric(29.0, 0.5), d=metric(28.6, 0.5))
    assert ranks(made) == [(1, "a"), (1, "b"), (3, "c"), (3, "d")]
    first, *others = ranked(made)
    assert first.comparison is None
    assert [row.compared_with and row.compared_with.quantizer.label for row in others] == ["a", "a", "c"]
    assert [row.comparison and row.comparison.comparisons for row in others] == [3, 3, 3]


def test_the_more_rows_the_more_it_takes_to_differ() -> None:
    two = {"a": metric(30.0, 0.5), "b": metric(29.2, 0.5)}
    assert ranks(quality(**two)) == [(1, "a"), (2, "b")]
    many = {f"z{i}": metric(20.0 - 2 * i, 0.5) for i in range(10)}
    assert ranks(quality(**two, **many))[:3] == [(1, "a"), (1, "b"), (3, "z0")]


def test_lower_is_better_where_the_metric_says_so() -> None:
    made = quality(
        a=metric(3.0, 0.1, better="lower"), b=metric(3.05, 0.1, better="lower"), c=metric(2.0, 0.1, better="lower")
    )
    assert ranks(made) == [(1, "c"), (2, "a"), (2, "b")]


def test_without_intervals_every_difference_counts() -> None:
    made = quality(a=metric(30.0), b=metric(29.999), c=metric(29.999))
    assert ranks(made) == [(1, "a"), (2, "b"), (2, "c")]
    assert [row.comparison for row in ranked(made)] == [None, None, None]


def test_numbers_under_caution_without_intervals_are_not_told_apart() -> None:
    made = quality(a=metric(30.0, caution="noisy"), b=metric(29.0), c=metric(28.0))
    assert ranks(made) == [(1, "a"), (1, "b"), (1, "c")]
    made = quality(a=metric(30.0), b=metric(29.0, caution="noisy"), c=metric(28.0))
    assert ranks(made) == [(1, "a"), (1, "b"), (3, "c")]


def test_numbers_of_all_images_together_are_told_apart_with_more_caution() -> None:
    numbers = {"a": metric(30.0, 0.4), "b": metric(29.3, 0.4), "c": metric(28.0, 0.4)}
    assert ranks(quality(**numbers)) == [(1, "a"), (2, "b"), (3, "c")]
    made = quality(**{k: m.model_copy(update={"interval": JACKKNIFE}) for k, m in numbers.items()})
    assert ranks(made) == [(1, "a"), (1, "b"), (3, "c")]
    assert {row.comparison.method for row in ranked(made) if row.comparison} == {"Student's t, errors added"}
    assert "the errors of both added" in render(made, "table")
    assert "29.6 to 30.4 (jackknife over images), n = " in render(made, "html")


def test_seeds_are_compared_over_seeds() -> None:
    numbers = {"a": (30.0, 30.2, 30.1), "b": (29.9, 30.3, 30.0), "c": (28.0, 28.1, 28.2)}
    records = [
        make_record(quantizer=name, seed=seed, metrics={"psnr": value})
        for name, values in numbers.items()
        for seed, value in enumerate(values)
    ]
    made = make_leaderboard(records, boards=["quality"])
    assert ranks(made) == [(1, "a"), (1, "b"), (3, "c")]
    assert {row.comparison.method for row in ranked(made) if row.comparison} == {"Welch's t over seeds"}


def test_values_of_each_image_settle_what_intervals_do_not(tmp_path: Path) -> None:
    records, folder = results_with_images(tmp_path, {"a": 0.2, "b": 0.0, "c": 0.001})
    assert {rank for rank, _ in ranks(make_leaderboard(records, boards=["quality"]))} == {1}
    for place in (folder, folder / "suite"):
        made = make_leaderboard(records, boards=["quality"], values=StoredValues(place))
        assert [rank for rank, _ in ranks(made)] == [1, 2, 2]
        assert {row.comparison.method for row in ranked(made) if row.comparison} == {"paired bootstrap over images"}
    assert "paired bootstrap over images where both have one seed" in render(made, "table")


def test_values_of_another_record_are_not_used(tmp_path: Path) -> None:
    records, folder = results_with_images(tmp_path, {"a": 0.2, "b": 0.0}, stored=0.01)
    made = make_leaderboard(records, boards=["quality"], values=StoredValues(folder))
    assert [row.comparison and row.comparison.method for row in ranked(made)] == [None, "Welch's t of intervals"]


def test_damaged_values_are_warned_of_once_and_count_as_missing(tmp_path: Path) -> None:
    records, folder = results_with_images(tmp_path, {"a": 0.2, "b": 0.0, "c": 0.0})
    path = folder / "suite" / "values" / f"{records[0].cell_id}.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    warnings: list[str] = []
    made = make_leaderboard(records, boards=["quality"], values=StoredValues(folder, warn=warnings.append))
    assert [str(path) in warning for warning in warnings] == [True]
    assert [row.comparison and row.comparison.method for row in ranked(made)] == [None, *["Welch's t of intervals"] * 2]


def test_the_first_rank_rarely_loses_the_row_that_is_best_in_truth() -> None:
    """What correcting for the comparisons made promises, though the order they are made in comes from the same numbers."""
    draws = np.random.default_rng(0)
    trials, lost = 200, 0
    for _ in range(trials):
        numbers = {f"m{i}": metric(float(draws.normal(25, 0.25)), 0.49, n=IMAGES) for i in range(8)}
        lost += {name: rank for rank, name in ranks(quality(**numbers))}["m0"] != 1
    assert lost / trials <= 0.05 + 0.04
