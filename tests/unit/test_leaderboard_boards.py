"""Rows become boards: what may be compared, and how it is ranked."""

from __future__ import annotations

import pytest
from records import component, environment, make_record, metric

from vqbench.errors import UsageError
from vqbench.leaderboard import Group, Leaderboard, RecordFilter, make_leaderboard, select_groups, select_records
from vqbench.results import CellRecord, MetricRecord


def ranking(group: Group) -> list[tuple[int | None, str]]:
    return [(ranked.rank, ranked.row.quantizer.label) for ranked in group.rows]


def only_group(leaderboard: Leaderboard) -> Group:
    ((group,),) = [board.groups for board in leaderboard.boards]
    return group


def quality(*numbers: tuple[str, float | MetricRecord]) -> Group:
    records = [make_record(quantizer=name, metrics={"psnr": value}) for name, value in numbers]
    return only_group(make_leaderboard(records, boards=["quality"]))


def test_the_best_is_first_in_the_direction_of_the_metric() -> None:
    group = quality(("a", 20.0), ("b", 30.0), ("c", 25.0))
    assert ranking(group) == [(1, "b"), (2, "c"), (3, "a")]
    records = [make_record(quantizer=name, metrics={"l1": value}) for name, value in (("a", 2.0), ("b", 0.1))]
    assert ranking(only_group(make_leaderboard(records, boards=["quality"]))) == [(1, "b"), (2, "a")]


def test_equal_numbers_share_a_rank() -> None:
    assert ranking(quality(("a", 30.0), ("b", 30.0), ("c", 25.0))) == [(1, "a"), (1, "b"), (3, "c")]


def test_what_was_not_measured_has_no_rank_and_comes_last() -> None:
    group = quality(("a", metric(None, reason="no weights")), ("b", 1.0))
    assert ranking(group) == [(1, "b"), (None, "a")]


@pytest.mark.parametrize(
    "change",
    [
        {"images_seen": 1},
        {"levels": ((8, (512,)),)},
        {"levels": ((8, ()),)},
        {"dataset": "textures"},
        {"image_size": 128},
    ],
    ids=str,
)
def test_what_is_not_comparable_never_shares_a_ranking(change: dict[str, object]) -> None:
    numbers = {"psnr": 25.0, "code_efficiency": 0.9, "encode_images_per_second": 100.0}
    records = [make_record(metrics=numbers), make_record(quantizer="vq", metrics=numbers, **change)]  # type: ignore[arg-type]
    made = make_leaderboard(records)
    assert [len(board.groups) for board in made.boards] == [2, 2, 2]
    assert all(len(group.rows) == 1 for board in made.boards for group in board.groups)
    assert len({group.id for board in made.boards for group in board.groups}) == 6


def test_equal_bits_share_a_ranking_whatever_they_are_made_of() -> None:
    records = [
        make_record(quantizer="fsq", levels=((8, (8, 8, 8, 5, 5, 5)),)),
        make_record(quantizer="vq", levels=((8, (64_000,)),)),
    ]
    assert len(only_group(make_leaderboard(records, boards=["quality"])).rows) == 2


def test_speed_is_ranked_within_one_environment_only() -> None:
    numbers = {"psnr": 25.0, "encode_images_per_second": 100.0}
    records = [make_record(quantizer=q, metrics=numbers, where=environment(q)) for q in ("a", "b")]
    by_quality, by_speed = make_leaderboard(records, boards=["quality", "throughput"]).boards
    assert [len(group.rows) for group in by_quality.groups] == [2]
    assert [len(group.rows) for group in by_speed.groups] == [1, 1]


def test_speed_in_an_unknown_environment_has_no_rank() -> None:
    record = make_record(metrics={"encode_images_per_second": 100.0}).model_copy(update={"environment": None})
    group = only_group(make_leaderboard([record], boards=["throughput"]))
    assert ranking(group) == [(None, "fsq")]


def test_two_definitions_of_a_metric_are_two_columns_and_only_one_is_ranked() -> None:
    group = quality(
        ("a", metric(40.0, version=1)),
        ("b", metric(30.0, version=2)),
        ("c", metric(20.0, version=2)),
        ("d", metric(None)),
    )
    assert [column.title for column in group.columns] == ["psnr", "psnr (definition 2)"]
    assert [column.version for column in group.columns] == [2, 1]
    assert ranking(group) == [(1, "b"), (2, "c"), (None, "a"), (None, "d")]


def test_sort_ranks_by_another_metric() -> None:
    records = [
        make_record(quantizer=name, metrics={"psnr": psnr, "l1": l1})
        for name, psnr, l1 in (("a", 30, 2.0), ("b", 20, 0.1))
    ]
    group = only_group(make_leaderboard(records, boards=["quality"], sort="l1"))
    assert ranking(group) == [(1, "b"), (2, "a")]
    assert [column.name for column in group.columns] == ["l1", "psnr"]


def test_sort_by_a_metric_without_direction_gives_an_order_but_no_ranks() -> None:
    records = [
        make_record(quantizer=q, metrics={"size": metric(v, unit="M", better=None)})
        for q, v in (("a", 1.0), ("b", 2.0))
    ]
    group = only_group(make_leaderboard(records, boards=["quality"], sort="size"))
    assert ranking(group) == [(None, "b"), (None, "a")]


def test_sort_by_an_unknown_metric_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"psrn.*psnr.*Did you mean 'psnr'"):
        make_leaderboard([make_record()], sort="psrn")


def test_boards_hold_the_metrics_that_name_them() -> None:
    record = make_record(metrics={"psnr": 25.0, "code_efficiency": 0.9, "encode_images_per_second": 9.0})
    made = make_leaderboard([record])
    assert [[c.name for g in board.groups for c in g.columns] for board in made.boards] == [
        ["psnr"],
        ["code_efficiency"],
        ["encode_images_per_second", "psnr"],  # quality beside speed
    ]


def test_rows_of_one_name_are_told_apart_by_what_differs() -> None:
    records = [
        make_record(quantizer=component("fsq", levels=5, beta=1), metrics={"psnr": 30.0}),
        make_record(quantizer=component("fsq", levels=8, beta=1), metrics={"psnr": 29.0}),
        make_record(quantizer="vq"),
    ]
    group = only_group(make_leaderboard(records, boards=["quality"]))
    assert [ranked.variant for ranked in group.rows] == ["levels=5", "levels=8", ""]


def test_unfinished_cells_are_listed_and_not_ranked() -> None:
    failed = make_record(quantizer="vq", failure=("out_of_memory", "boom"))
    made = make_leaderboard([make_record(), failed], boards=["quality"])
    assert made.unfinished == (failed,)
    assert ranking(only_group(made)) == [(1, "fsq")]


def records_of_many() -> list[CellRecord]:
    return [
        make_record(quantizer=q, backbone=b, seed=s) for q in ("fsq", "gq") for b in ("unet", "vit") for s in (0, 1)
    ]


@pytest.mark.parametrize(
    ("only", "count"),
    [
        (RecordFilter(), 8),
        (RecordFilter(quantizers=("gq",)), 4),
        (RecordFilter(quantizers=("vqbench/g*",)), 4),
        (RecordFilter(quantizers=("fsq", "g*"), backbones=("vit",)), 4),
        (RecordFilter(seeds=("1",), datasets=("photos",)), 4),
        (RecordFilter(suites=("quick*",)), 8),
    ],
)
def test_filters_select_by_label_name_and_id(only: RecordFilter, count: int) -> None:
    assert len(select_records(records_of_many(), only)) == count


def test_a_filter_that_matches_nothing_says_what_there_is() -> None:
    with pytest.raises(UsageError, match=r"-q fsk.*fsq, gq.*Did you mean 'fsq'"):
        select_records(records_of_many(), RecordFilter(quantizers=("fsk",)))
    records = [make_record(quantizer="a", backbone="x"), make_record(quantizer="b", backbone="y")]
    with pytest.raises(UsageError, match="all of these filters"):
        select_records(records, RecordFilter(quantizers=("a",), backbones=("y",)))


def test_groups_are_chosen_by_any_of_their_names() -> None:
    made = make_leaderboard([make_record(), make_record(levels=((8, ()),))], boards=["quality"])
    first, continuous = made.boards[0].groups
    for pattern, group in (("512", first), ("continuous", continuous), (first.id, first)):
        assert select_groups(made, [pattern]).boards[0].groups == (group,)
    assert len(select_groups(made, ["photos"]).boards[0].groups) == 2
    with pytest.raises(UsageError, match="continuous"):
        select_groups(made, ["513"])
