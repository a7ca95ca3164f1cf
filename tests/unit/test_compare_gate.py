"""Gate files: rules in order, and what is wrong with one in one message."""

from __future__ import annotations

import numpy as np
import pytest
from compared import compared, findings, only, save, speed
from records import component, environment, make_record, metric

from vqbench.compare import Gate, load_gate
from vqbench.compare.gate import parse_gate
from vqbench.errors import GateError
from vqbench.results import BenchmarkRecord, write_benchmarks


@pytest.fixture
def sides(tmp_path):
    """Two quantizers, each 0.1 dB and 1 % SSIM worse."""
    folders = tmp_path / "base", tmp_path / "new"
    for folder, (psnr, ssim) in zip(folders, ((25.0, 0.9), (24.9, 0.891)), strict=True):
        for quantizer in (component("gq"), component("fsq", plugin="mine")):
            save(folder, make_record(quantizer=quantizer, metrics={"psnr": psnr, "ssim": ssim}))
    return folders


def worse(report):
    return {(found.entry.labels[0], found.metric) for found in report.of("regression")}


EVERYTHING = {("gq", "psnr"), ("gq", "ssim"), ("fsq", "psnr"), ("fsq", "ssim")}


@pytest.mark.parametrize(
    ("rules", "left"),
    [
        ([], EVERYTHING),
        ([{"metric": "psnr", "tolerance": 0.2}], {("gq", "ssim"), ("fsq", "ssim")}),
        ([{"metric": "s*", "factor": 1.02}], {("gq", "psnr"), ("fsq", "psnr")}),
        ([{"quantizer": "mine/*", "ignore": True}], {("gq", "psnr"), ("gq", "ssim")}),
        ([{"quantizer": "g?", "metric": "psnr", "ignore": True}], EVERYTHING - {("gq", "psnr")}),
        ([{"backbone": "vit", "ignore": True}], EVERYTHING),
        ([{"dataset": "photos", "suite": "quick*", "tolerance": 1}], set()),
        ([{"benchmark": "*", "ignore": True}], EVERYTHING),
        ([{"better": "lower"}], set()),
        # the first rule that has the key decides
        ([{"quantizer": "gq", "ignore": False}, {"ignore": True}], {("gq", "psnr"), ("gq", "ssim")}),
        ([{"quantizer": "gq", "reason": "x"}, {"tolerance": 1}], set()),
        ([{"tolerance": 1}, {"factor": 1}], set()),
        ([{"tolerance": 0, "factor": 1.005}], {("gq", "ssim"), ("fsq", "ssim")}),
    ],
)
def test_rules(sides, rules, left):
    report = compared(*sides, {"rules": rules})
    assert worse(report) == left


def test_rules_that_match_nothing_are_known(sides):
    report = compared(*sides, {"rules": [{"metric": "psrn", "tolerance": 1}, {"metric": "psnr", "tolerance": 1}]})
    assert report.unused == (0,)


def test_ignoring_everything_does_not_pass(sides):
    report = compared(*sides, {"rules": [{"metric": "*", "ignore": True}]})
    assert (report.exit_code, report.conclusion) == (2, "nothing was compared")


def test_required_numbers_must_be_in_new_even_where_base_has_none(tmp_path):
    base, new = tmp_path / "base", tmp_path / "new"
    save(base, make_record(metrics={"psnr": 25.0}))
    save(new, make_record(metrics={"psnr": 25.0, "rfid": metric(None)}), make_record(seed=1, metrics={"psnr": 25.0}))
    rules = [{"metric": "lpips_alex", "required": True}, {"metric": "rf*", "required": True}]
    report = compared(base, new, {"rules": rules})
    assert sorted(findings(report), key=str) == [
        ("lpips_alex", "missing", "regression"),
        ("lpips_alex", "missing", "regression"),
        ("psnr", "same", "none"),
        ("rfid", "missing", "regression"),
        (None, "new", "none"),
    ]


def test_metrics_of_cells_are_not_required_of_benchmarks(tmp_path):
    number = metric(1.0, unit="s", better="lower", board="throughput")
    record = BenchmarkRecord(
        benchmark_id="0" * 16, suite="s", tool="x", name="test", seconds=number, fingerprint="0" * 16, machine={}
    )
    write_benchmarks(tmp_path / "s", [record])
    assert compared(tmp_path, tmp_path, {"rules": [{"metric": "psnr", "required": True}]}).exit_code == 0
    demanding = {"rules": [{"metric": "joules", "benchmark": "te*", "required": True}]}
    assert compared(tmp_path, tmp_path, demanding).exit_code == 1


def test_what_is_not_required_may_be_missing(tmp_path):
    base, new = tmp_path / "base", tmp_path / "new"
    save(base, make_record(metrics={"psnr": 25.0, "ssim": 0.9}), make_record(seed=1))
    save(new, make_record(metrics={"psnr": 25.0}))
    assert compared(base, new, {"rules": [{"metric": "ssim", "required": False}]}).exit_code == 1  # the cell
    report = compared(base, new, {"rules": [{"required": False}]})
    assert report.exit_code == 0
    assert report.counts["missing"] == 2


def test_the_level_is_a_rules(tmp_path):
    draws = np.random.default_rng(0)
    for folder, slower in (("base", 1.0), ("new", 1.3)):
        number = speed(0.01 * slower * (1 + draws.gamma(2, 0.02, 5)))
        save(tmp_path / folder, make_record(metrics={"speed": number}, where=environment("gpu")))
    sides = tmp_path / "base", tmp_path / "new"
    assert only(compared(*sides)).verdict == "worse"
    assert only(compared(*sides, {"rules": [{"level": 0.001}]})).verdict == "not comparable"  # too few for that


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "key 'schema' is missing"),
        ("schema = 2", "wrong value of 'schema': got 2"),
        ("schema = 1\n[[rule]]", "unknown key 'rule': expected one of rules, schema. Did you mean 'rules'"),
        (
            "schema = 1\n[[rules]]\ntolerence = 1",
            r"unknown key 'rules\[0\].tolerence': expected .* Did you mean 'tolerance'",
        ),
        ("schema = 1\n[[rules]]\ntolerance = -1", r"'rules\[0\].tolerance': got -1.*greater than or equal to 0"),
        ("schema = 1\n[[rules]]\nfactor = 0.9", r"'rules\[0\].factor'"),
        ("schema = 1\n[[rules]]\nlevel = 1", r"'rules\[0\].level'"),
        ("schema = 1\n[[rules]]\nignore = 'yes'", r"'rules\[0\].ignore'"),
        ("schema = 1\n[[rules]]\nbetter = 'more'", r"'rules\[0\].better'"),
        ("schema = 1\n[[rules]]\ntolerance = nan", r"'rules\[0\].tolerance'"),
        ("schema =", "is not valid TOML"),
        ("\xff", "is not UTF-8"),
    ],
)
def test_a_malformed_gate_is_one_message_naming_file_and_key(tmp_path, text, message):
    path = tmp_path / "gate.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(GateError, match=message) as caught:
        load_gate(path)
    assert str(path) in str(caught.value)


def test_a_missing_gate_is_one_message(tmp_path):
    with pytest.raises(GateError, match="cannot be read"):
        load_gate(tmp_path / "gate.toml")


def test_whole_numbers_are_numbers():
    assert parse_gate({"schema": 1, "rules": [{"tolerance": 1}]}, source="gate").rules[0].tolerance == 1
    assert Gate(schema=1).rules == []
