"""What ``compare`` says about cells and their numbers, speeds apart."""

from __future__ import annotations

import numpy as np
import pytest
from compared import compared, findings, only, save, save_values
from records import component, make_record, metric, write_record

from vqbench.errors import RecordError, ResultsError

IMAGES = 256


@pytest.fixture
def sides(tmp_path):
    return tmp_path / "base", tmp_path / "new"


def test_the_same_records_are_the_same(sides):
    records = [make_record(quantizer=q, seed=s) for q in ("fsq", "gq") for s in (0, 1)]
    report = compared(save(sides[0], *records), save(sides[1], *records))
    assert {found.verdict for found in report.findings} == {"same"}
    assert report.compared == len(records)
    assert report.exit_code == 0


@pytest.mark.parametrize(
    ("name", "base", "new", "verdict"),
    [
        ("psnr", 25.0, 24.97, "worse"),
        ("psnr", 25.0, 24.99, "same"),
        ("psnr", 25.0, 25.03, "better"),
        ("l1", 10.0, 10.03, "worse"),
        ("l1", 10.0, 10.01, "same"),
        ("l1", 10.0, 9.9, "better"),
        ("ssim", 0.9, 0.897, "worse"),
        ("code_usage", 1.0, 0.995, "same"),
        ("code_usage", 1.0, 0.98, "worse"),
        ("l1", 0.0, 0.001, "worse"),  # no ratio to zero: every difference is beyond a factor
    ],
)
def test_without_values_of_each_image_the_size_of_a_difference_decides(sides, name, base, new, verdict):
    for folder, value in zip(sides, (base, new), strict=True):
        save(folder, make_record(metrics={name: value}))
    report = compared(*sides)
    assert only(report).verdict == verdict
    assert report.exit_code == (verdict == "worse")


def measured(folder, images, *, name="psnr"):
    values = images.astype(np.float32)
    record = make_record(metrics={name: metric(float(values.mean(dtype=np.float64)), n=len(values))})
    save(folder, record)
    save_values(folder, record, **{name: values})


def test_a_planted_loss_of_a_fifth_of_a_decibel_is_significant_on_the_same_images(sides):
    draws = np.random.default_rng(0)
    images = draws.normal(25, 3, IMAGES)
    measured(sides[0], images)
    measured(sides[1], images - 0.2 + draws.normal(0, 0.5, IMAGES))
    found = only(compared(*sides))
    assert (found.verdict, found.effect, found.method) == ("worse", "regression", "paired bootstrap over images")
    assert found.p is not None
    assert found.p < 0.01
    assert found.difference == pytest.approx(-0.2, abs=0.1)


def test_a_difference_beyond_the_tolerance_that_the_images_do_not_tell_from_chance_is_none(sides):
    draws = np.random.default_rng(1)
    images = draws.normal(25, 3, 16)
    noise = draws.normal(0, 1, 16)
    measured(sides[0], images)
    measured(sides[1], images + noise - noise.mean() - 0.1)
    found = only(compared(*sides))
    assert (found.verdict, found.reason) == ("same", "not significant")


def test_a_significant_difference_within_the_tolerance_is_none(sides):
    images = np.random.default_rng(1).normal(25, 3, IMAGES)
    measured(sides[0], images)
    measured(sides[1], images - 0.01)
    assert only(compared(*sides)).verdict == "same"


def test_values_of_another_number_of_images_are_no_pairs(sides):
    images = np.random.default_rng(1).normal(25, 3, IMAGES)
    measured(sides[0], images)
    measured(sides[1], images[:-1] - 1)
    found = only(compared(*sides))
    assert (found.verdict, found.method) == ("worse", "size alone")


def test_damaged_values_are_said_and_then_missing(sides):
    measured(sides[0], np.full(IMAGES, 25.0))
    measured(sides[1], np.full(IMAGES, 24.0))
    [path] = sides[1].rglob("*.safetensors")
    path.write_bytes(b"no values")
    found = only(compared(*sides))
    assert (found.verdict, found.method) == ("worse", "size alone")


def test_the_number_of_tests_is_corrected_for(sides):
    draws = np.random.default_rng(3)
    images = draws.normal(25, 3, 64)
    noise = draws.normal(0, 1, 64)
    noise += -0.3 - noise.mean()  # p about 0.02
    for seed in range(10):
        record = make_record(seed=seed, metrics={"psnr": float(np.float32(images).mean(dtype=np.float64))})
        save(sides[0], record)
        save_values(sides[0], record, psnr=images)
        after = np.float32(images + noise)
        save(sides[1], make_record(seed=seed, metrics={"psnr": float(after.mean(dtype=np.float64))}))
        save_values(sides[1], record, psnr=after)
    together = compared(*sides)
    assert together.comparisons == 10
    assert {found.verdict for found in together.findings} == {"same"}
    [path] = (path for path in (sides[1] / "quickstart").glob("*.json") if '"seed": 0' in path.read_text())
    alone = compared(path, path)
    assert alone.exit_code == 0
    before = sides[0] / "quickstart" / path.name
    assert only(compared(before, path)).verdict == "worse"


def test_what_disappeared_is_a_regression(sides):
    records = [make_record(seed=0), make_record(seed=1)]
    report = compared(save(sides[0], *records), save(sides[1], records[0]))
    assert list(findings(report)) == [("psnr", "same", "none"), (None, "missing", "regression")]
    assert report.exit_code == 1


def test_what_only_new_has_is_no_regression(sides):
    records = [make_record(seed=0), make_record(seed=1)]
    report = compared(save(sides[0], records[0]), save(sides[1], *records))
    assert sorted(found.verdict for found in report.findings) == ["new", "same"]
    assert report.exit_code == 0


def test_a_missing_metric_and_a_null_are_regressions_but_not_where_base_had_none(sides):
    save(sides[0], make_record(metrics={"psnr": 25.0, "ssim": 0.9, "l1": metric(None), "lpips": metric(None)}))
    save(
        sides[1],
        make_record(metrics={"psnr": metric(None, reason="weights are missing"), "l1": 3.0, "lpips": metric(None)}),
    )
    report = compared(*sides)
    assert list(findings(report)) == [
        ("psnr", "missing", "regression"),
        ("ssim", "missing", "regression"),
        ("l1", "new", "none"),
        ("lpips", "same", "none"),
    ]
    assert report.findings[0].reason == "null: weights are missing"


def test_a_cell_that_fails_now_is_a_regression_and_one_that_works_now_is_not(sides):
    good, bad = make_record(), make_record(failure=("out_of_memory", "no room"))
    assert good.cell_id == bad.cell_id
    save(sides[0], good)
    save(sides[1], bad)
    found = only(compared(*sides))
    assert (found.verdict, found.effect, found.metric) == ("missing", "regression", None)
    assert found.reason == "out_of_memory at stage train: no room"
    assert [found.verdict for found in compared(sides[1], sides[0]).findings] == ["new"]
    both = compared(sides[1], sides[1])
    assert only(both).verdict == "same"
    assert both.exit_code == 2  # nothing was compared


def test_a_damaged_record_in_new_is_a_regression_and_in_base_it_is_not_comparable(sides):
    record = make_record()
    save(sides[0], record, make_record(seed=1))
    save(sides[1], record, make_record(seed=1))
    path = sides[1] / "quickstart" / f"{record.cell_id}.json"
    path.write_text("{")
    report = compared(*sides)
    [found] = report.of("regression")
    assert "damaged" in found.reason
    assert found.entry.title == "fsq × unet × photos, seed 0"  # BASE tells what it is
    turned = compared(sides[1], sides[0])
    assert (turned.exit_code, len(turned.of("undecided"))) == (2, 1)
    assert compared(sides[1], sides[1]).exit_code == 2


def test_the_same_labels_with_another_identity_are_not_comparable_and_it_says_why(sides):
    save(sides[0], make_record(quantizer=component("fsq", levels=[8]), recipe={"steps": 10}))
    save(sides[1], make_record(quantizer=component("fsq", levels=[8], version=2), recipe={"steps": 20}))
    report = compared(*sides)
    found = only(report)
    assert (found.verdict, found.effect) == ("not comparable", "undecided")
    assert found.reason == "not the same cell: quantizer.version 1 → 2; recipe.steps 10 → 20"
    assert report.exit_code == 2


def test_another_protocol_or_definition_is_not_comparable(sides):
    base = make_record(metrics={"psnr": 25.0, "ssim": 0.9})
    save(sides[0], base)
    save(sides[1], base.model_copy(update={"protocol": "0" * 16}))
    assert {found.verdict for found in compared(*sides).findings} == {"not comparable"}
    for change in ({"protocol": "another mean"}, {"version": 2}, {"unit": "bel"}):
        number = base.metrics["psnr"].model_copy(update=change)
        save(sides[1], base.model_copy(update={"metrics": base.metrics | {"psnr": number}}))
        report = compared(*sides)
        assert [found.verdict for found in report.findings] == ["not comparable", "same"]
        assert next(iter(change)) in report.findings[0].reason
        assert report.exit_code == 2


def test_a_number_without_a_direction_is_changed_not_worse(sides):
    for folder, value in zip(sides, (1.0, 2.0), strict=True):
        save(folder, make_record(metrics={"parameters": metric(value, unit="M", better=None, board="throughput")}))
    assert only(compared(*sides)).verdict == "changed"
    assert only(compared(*sides, {"rules": [{"metric": "par*", "better": "lower"}]})).verdict == "worse"


def test_cells_of_several_suites_are_compared_with_those_of_their_own(sides):
    for suite, value in (("one", 25.0), ("two", 30.0)):
        record = make_record(suite=suite, metrics={"psnr": value})
        save(sides[0], record)
        save(sides[1], record)
    assert [found.verdict for found in compared(*sides).findings] == ["same", "same"]
    assert only(compared(sides[0] / "one", sides[0] / "two")).verdict == "better"


def test_single_records_are_sides_with_their_values(sides):
    draws = np.random.default_rng(0)
    images = draws.normal(25, 3, IMAGES)
    measured(sides[0], images)
    measured(sides[1], images - 0.2 + draws.normal(0, 0.5, IMAGES))
    [base], [new] = (list((side / "quickstart").glob("*.json")) for side in sides)
    assert only(compared(base, new)).method == "paired bootstrap over images"


def test_no_side_is_one_message(sides, tmp_path):
    save(sides[0], make_record())
    (tmp_path / "empty").mkdir()
    for wrong, message in (("nowhere", "There are no results nowhere"), (tmp_path / "empty", "no records"), ("", "''")):
        with pytest.raises(ResultsError, match=message):
            compared(sides[0], wrong)
    path = write_record(tmp_path / "damaged", make_record(), seed="x")
    with pytest.raises(RecordError, match="seed"):
        compared(path, sides[0])
