"""Curves at several rates: what belongs to one, and Bjøntegaard deltas against hand-made cases and the library itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import bjontegaard
import pytest
from rate_records import BITS, curve
from records import make_record, metric

from vqbench.errors import UsageError
from vqbench.leaderboard import make_rate_board
from vqbench.leaderboard.rate_board import RateBoard, RateGroup
from vqbench.leaderboard.rate_curves import method_of
from vqbench.leaderboard.rate_deltas import Comparison
from vqbench.results import CellRecord


def only_group(board: RateBoard | None) -> RateGroup:
    assert board is not None
    (group,) = board.groups
    return group


def deltas(group: RateGroup, name: str = "psnr") -> Mapping[str, Comparison]:
    return {row.curve.method: row.against_anchor[name] for row in group.rows}


@pytest.mark.parametrize(
    ("label", "method"),
    [
        ("gq-8b", "gq"),
        ("tokenbridge-tdc-32b", "tokenbridge-tdc"),
        ("vq_0.25bpp", "vq"),
        ("fsq-16bits", "fsq"),
        ("fsq-16BIT", "fsq"),
        ("gq-5x4", "gq-5x4"),
        ("sq_vae_2", "sq_vae_2"),
        ("-8b", "-8b"),
        ("8b", "8b"),
        ("gq-8b-long", "gq-8b-long"),
        ("a-8b-16b", "a-8b"),
    ],
)
def test_only_a_trailing_rate_is_no_part_of_the_method(label: str, method: str) -> None:
    assert method_of(label) == method


def test_a_constant_offset_in_decibels_is_exactly_the_delta() -> None:
    slope = [20 + 2 * math.log2(bits) for bits in BITS]
    group = only_group(make_rate_board(curve("a", slope) + curve("b", [value + 0.7 for value in slope])))
    assert group.anchor.method == "a"
    compared = deltas(group)["b"]
    assert compared.quality.value == pytest.approx(0.7, abs=1e-9)
    # on a slope of 2 dB per octave, 0.7 dB are 0.35 octaves
    assert compared.rate.value == pytest.approx(100 * (2**-0.35 - 1), abs=1e-9)
    assert compared.quality.overlap == pytest.approx(1.0)
    assert compared.rate.overlap == pytest.approx(3.3 / 4.7)


def test_a_constant_factor_in_rate_is_exactly_the_delta() -> None:
    values = [20.0, 22.5, 24.0, 24.8]
    records = curve("a", values, bits=(4, 8, 16, 32)) + curve("b", values, bits=(6, 12, 24, 48))
    compared = deltas(only_group(make_rate_board(records)))["b"]
    assert compared.rate.value == pytest.approx(50.0, abs=1e-9)
    back = deltas(only_group(make_rate_board(records, anchor="b")))["a"]
    assert back.rate.value == pytest.approx(-100 / 3, abs=1e-9)
    assert back.rate.overlap == pytest.approx(1.0)


def test_the_numbers_are_the_librarys() -> None:
    a, b, entropy = [20.0, 22.1, 23.0], [20.9, 22.6, 24.1], [400.0, 700.0, 1500.0]
    lpips_a, lpips_b = [0.41, 0.3, 0.22], [0.38, 0.31, 0.19]
    records = curve("a", a, lpips=lpips_a) + curve("b", b, lpips=lpips_b, entropy=entropy)
    group = only_group(make_rate_board(records))
    rates = [bits / 64 for bits in BITS]
    more = {"method": "pchip", "min_overlap": 0}
    assert deltas(group)["b"].rate.value == pytest.approx(bjontegaard.bd_rate(rates, a, rates, b, **more))
    assert deltas(group)["b"].quality.value == pytest.approx(bjontegaard.bd_psnr(rates, a, rates, b, **more))
    lpips = deltas(group, "lpips_alex")["b"]
    negated = [[-value for value in values] for values in (lpips_a, lpips_b)]
    expected = bjontegaard.bd_rate(rates, negated[0], rates, negated[1], **more)
    assert lpips.rate.value == pytest.approx(expected)
    expected = bjontegaard.bd_psnr(rates, lpips_a, rates, lpips_b, **more)
    assert lpips.quality.value == pytest.approx(expected)


def test_less_lpips_at_the_same_rate_is_a_negative_delta() -> None:
    worse, better = [0.5, 0.4, 0.3], [0.45, 0.35, 0.25]
    group = only_group(make_rate_board(curve("a", [20, 22, 24], lpips=worse) + curve("b", [20, 22, 24], lpips=better)))
    compared = deltas(group, "lpips_alex")["b"]
    assert compared.quality.value == pytest.approx(-0.05)
    assert compared.rate.value == pytest.approx(100 * (2**-0.5 - 1))  # 0.1 an octave


@pytest.mark.parametrize(
    ("other", "rate_reason", "quality_reason"),
    [
        (lambda: curve("b", [30, 31, 32]), "share no range of quality", None),
        (lambda: curve("b", [24, 25, 26]), "share no range of quality", None),
        (lambda: curve("b", [20, 22, 24], bits=(64, 128, 256)), None, "share no range of rate"),
        (lambda: curve("b", [20, 23], bits=(8, 16)), "b was run at 2 rates, and 3 are needed", "2 rates"),
        (
            lambda: curve("b", [20, 23, 22]),
            "psnr of b gets no better from 0.25 to 0.5 bits/pixel",
            None,
        ),
        (lambda: curve("b", [20, None, 24]), "b-16b has no psnr: not measured here", "b-16b has no psnr"),
        (
            lambda: curve("b", [20, 22, 24]) + curve("b", [21], bits=(8,), recipe={"lr": 1.0}),
            "b has several rows at 0.125 bits/pixel",
            "several rows",
        ),
        (
            lambda: [
                r.model_copy(update={"metrics": {"psnr": metric(v, protocol="pooled")}})
                for r, v in zip(curve("b", [20, 22, 24]), [20.0, 22.0, 24.0], strict=True)
            ],
            "different definitions",
            "different definitions",
        ),
    ],
)
def test_what_cannot_be_compared_is_null_with_a_reason(
    other: Callable[[], list[CellRecord]], rate_reason: str | None, quality_reason: str | None
) -> None:
    compared = deltas(only_group(make_rate_board(curve("a", [20, 22, 24]) + other(), anchor="a")))["b"]
    for delta, reason in ((compared.rate, rate_reason), (compared.quality, quality_reason)):
        if reason is None:
            assert delta.value is not None
            assert delta.reason is None
        else:
            assert delta.value is None
            assert reason in str(delta.reason)


def test_a_metric_that_some_lack_is_null_for_them_only() -> None:
    lpips = [0.5, 0.4, 0.3]
    records = curve("a", [20, 22, 24], lpips=lpips) + curve("b", [20, 22, 24]) + curve("c", [20, 22, 24], lpips=lpips)
    group = only_group(make_rate_board(records))
    assert group.metrics == ("psnr", "lpips_alex")
    assert "b-8b has no lpips_alex: it was not measured" in str(deltas(group, "lpips_alex")["b"].quality.reason)
    assert deltas(group, "lpips_alex")["c"].quality.value == pytest.approx(0)
    assert only_group(make_rate_board(curve("a", [20, 22, 24]))).metrics == ("psnr",)


def test_seeds_are_averaged_and_give_intervals() -> None:
    records = []
    for seed, (offset, factor) in enumerate([(0.5, 0.0), (0.7, 0.1), (0.9, 0.2)]):
        slope = [20 + 2 * math.log2(bits) + factor for bits in BITS]
        records += curve("a", slope, seed=seed) + curve("b", [value + offset for value in slope], seed=seed)
    compared = deltas(only_group(make_rate_board(records)))["b"]
    assert compared.quality.value == pytest.approx(0.7)
    half = 4.302652729911275 * 0.2 / math.sqrt(3)
    assert (compared.quality.low, compared.quality.high) == pytest.approx((0.7 - half, 0.7 + half))
    low, high = (100 * (2 ** (-(0.7 + side) / 2) - 1) for side in (half, -half))
    assert (compared.rate.low, compared.rate.high) == pytest.approx((low, high))
    assert compared.quality.n == compared.rate.n == 3


def test_curves_of_unlike_seeds_have_no_interval() -> None:
    records = [r for seed in (0, 1) for r in curve("a", [20 + seed, 22, 24], seed=seed)]
    records += [r for seed in (1, 2) for r in curve("b", [21 + seed, 23, 25], seed=seed)]
    compared = deltas(only_group(make_rate_board(records)))["b"]
    assert compared.quality.value is not None
    assert (compared.quality.low, compared.quality.high, compared.quality.n) == (None, None, 0)


def test_backbones_datasets_and_protocols_are_kept_apart() -> None:
    values = [20, 22, 24]
    records = [
        *curve("a", values),
        *curve("b", values),
        *curve("a", values, backbone="vit"),
        *curve("b", values, dataset="faces"),
        *curve("a", values, images_seen=5),
    ]
    board = make_rate_board(records)
    assert board is not None
    found = {(g.dataset, g.backbone, g.images_seen): [r.curve.method for r in g.rows] for g in board.groups}
    assert found == {
        ("photos", "unet", "16000"): ["a", "b"],
        ("photos", "vit", "16000"): ["a"],
        ("faces", "unet", "16000"): ["b"],
        ("photos", "unet", "5"): ["a"],
    }
    assert len({g.id for g in board.groups}) == 4


def test_quantizers_that_share_a_name_are_told_apart() -> None:
    other = [
        r.model_copy(update={"quantizer": r.quantizer.model_copy(update={"id": "third/a"})})
        for r in curve("a", [21, 23, 25])
    ]
    group = only_group(make_rate_board(curve("a", [20, 22, 24]) + other))
    assert {row.curve.method for row in group.rows} == {"a (vqbench/a)", "a (third/a)"}


def test_what_has_one_rate_or_none_is_no_curve() -> None:
    records = [
        *curve("a", [20, 22, 24]),
        *curve("single", [25], bits=(8,)),
        make_record(quantizer="vae-8b", levels=((8, ()),)),
        make_record(quantizer="vae-16b", levels=((8, ()),)),
        make_record(quantizer="zero-1b", levels=((8, (1,)),)),
        make_record(quantizer="a-64b", levels=((8, (2,) * 64),), failure=("failed", "boom")),
    ]
    group = only_group(make_rate_board(records))
    assert [row.curve.method for row in group.rows] == ["a"]
    assert len(group.rows[0].curve.points) == 3
    assert group.alone == ("single",)
    assert make_rate_board(records[3:]) is None
    assert make_rate_board([]) is None


def test_the_anchor_is_who_has_most_points_then_the_first_by_name() -> None:
    records = curve("c", [20, 22, 24, 25], bits=(4, 8, 16, 32)) + curve("b", [20, 22, 24]) + curve("a", [20, 22, 24])
    assert only_group(make_rate_board(records)).anchor.method == "c"
    assert only_group(make_rate_board(records[4:])).anchor.method == "a"
    assert only_group(make_rate_board(records, anchor="b")).anchor.method == "b"
    assert only_group(make_rate_board(records, anchor="b-16b")).anchor.method == "b"
    with pytest.raises(UsageError, match="one of a, b, c"):
        make_rate_board(records, anchor="x")


def test_the_best_comes_first() -> None:
    records = curve("a", [20, 22, 24]) + curve("b", [21, 23, 25]) + curve("c", [40, 41, 42]) + curve("d", [1, None, 3])
    assert [row.curve.method for row in only_group(make_rate_board(records)).rows] == ["c", "b", "a", "d"]


def test_the_rate_may_be_the_entropy_of_the_codes() -> None:
    values = [20, 22, 24]
    records = curve("a", values, entropy=[400, 800, 1600]) + curve("b", values, entropy=[200, 400, 800])
    group = only_group(make_rate_board(records, axis="entropy"))
    assert [p.bits_per_pixel for p in group.anchor.points] == pytest.approx([400 / 4096, 800 / 4096, 1600 / 4096])
    assert deltas(group)["b"].rate.value == pytest.approx(-50)
    records += curve("c", values)
    group = only_group(make_rate_board(records, axis="entropy"))
    assert "c-8b has no rate: entropy_bits_per_image was not measured" in group.left_out
    with pytest.raises(UsageError, match="No record has actual_bits_per_image"):
        make_rate_board(records, axis="actual")


def test_a_difference_beyond_floats_is_refused() -> None:
    values = [20, 22, 24]
    tiny, huge = [1e-300, 2e-300, 4e-300], [1e300, 2e300, 4e300]
    board = make_rate_board(curve("a", values, entropy=tiny) + curve("b", values, entropy=huge), axis="entropy")
    assert "too large" in str(deltas(only_group(board))["b"].rate.reason)
