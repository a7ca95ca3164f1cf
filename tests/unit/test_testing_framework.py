"""The conformance kit itself: what becomes of a check that fails, does not apply, or is expected to fail."""

from __future__ import annotations

import json
import pickle
import random
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from own_pytest import environment

from vqbench.errors import ParameterError, UsageError
from vqbench.testing import CheckFailure, NotApplicable, check, expect, run_checks, subject
from vqbench.testing.outcome import check_names
from vqbench.testing.render import render

FSQ = subject("fsq")


@check(protects="nothing.", fix="nothing.")
def passing(subject):
    pass


@check(protects="the world.", fix="Look at the world.")
def failing(subject):
    expect(1 + 1 == 3, "sums are off", got=2, expected=3)


@check(protects="the code.", fix="Do not raise.")
def raising(subject):
    raise RuntimeError("boom")


@check(protects="nobody.", fix="nothing.")
def inapplicable(subject):
    raise NotApplicable("there is nothing to see")


ALL = (passing, failing, raising, inapplicable)


def test_each_check_has_its_outcome_and_none_stops_the_next():
    outcomes = list(run_checks(FSQ, ALL))
    assert [o.status for o in outcomes] == ["passed", "failed", "failed", "not applicable"]
    assert outcomes[1].message == "sums are off: got 2, expected 3"
    assert outcomes[2].message == "RuntimeError: boom"
    assert "in raising" in outcomes[2].traceback
    assert [o.good for o in outcomes] == [True, False, False, True]


def test_an_expected_failure_is_good_and_an_expectation_that_is_out_of_date_is_not():
    reasons = {"failing": "sums are hard", "passing": "it used to fail"}
    outcomes = {o.check.name: o for o in run_checks(FSQ, ALL, reasons)}
    assert (outcomes["failing"].status, outcomes["failing"].good) == ("failed as expected", True)
    assert outcomes["failing"].message == "sums are hard"
    assert (outcomes["passing"].status, outcomes["passing"].good) == ("passed unexpectedly", False)


def test_an_expectation_of_no_check_is_an_error_with_the_closest_name():
    with pytest.raises(UsageError, match="Did you mean 'failing'"):
        check_names(ALL, ["faling"])


def test_checks_are_seeded_by_name_and_leave_the_global_generators_alone():
    drawn = []

    @check(protects="chance.", fix="nothing.")
    def drawing(subject):
        drawn.append((torch.rand(1).item(), random.random(), np.random.rand()))

    torch.manual_seed(3), random.seed(3), np.random.seed(3)
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    list(run_checks(FSQ, [drawing]))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert np.random.get_state()[1].tolist() == before[2]
    torch.manual_seed(4)
    list(run_checks(FSQ, [drawing]))
    assert drawn[0][0] == drawn[1][0]


def test_a_subject_tells_what_was_set_and_refuses_what_is_wrong():
    assert str(subject("fsq", levels=[3, 3])) == "vqbench/fsq(levels=[3, 3])"
    with pytest.raises(ParameterError, match="levels"):
        subject("fsq", levels="three")
    with pytest.raises(ParameterError, match="has no parameters"):
        subject("quickstart", steps=3)


def test_a_table_explains_failures_with_what_they_protect_and_how_to_mend_them():
    text = render(list(run_checks(FSQ, ALL)), "table")
    for part in ("vqbench/fsq", "failing: sums are off: got 2, expected 3", "what it protects: the world.", "boom"):
        assert part in text
    assert "to mend it: Look at the world." in text
    assert text.rstrip().endswith("Checks: 1 passed, 2 failed, 1 not applicable")


def test_json_and_junit_hold_every_check():
    outcomes = list(run_checks(FSQ, ALL, {"raising": "known"}))
    document = json.loads(render(outcomes, "json"))
    assert document["good"] is False
    assert [row["status"] for row in document["checks"]] == ["passed", "failed", "failed as expected", "not applicable"]
    suite = ElementTree.fromstring(render(outcomes, "junit").encode()).find("testsuite")
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("4", "1", "2")
    assert suite.find("testcase[@name='failing']/failure").get("message") == "sums are off: got 2, expected 3"


def test_what_a_component_says_cannot_drive_a_terminal():
    @check(protects="the terminal.", fix="nothing.")
    def rude(subject):
        raise RuntimeError("\x1b[2J")

    for form in ("table", "json", "junit"):
        assert "\x1b" not in render(list(run_checks(FSQ, [rude])), form)


def run_pytest(folder, *arguments):
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, env=environment())


OWN_TESTS = """
from vqbench.testing import Contract, parametrize_with_checks, subject

@parametrize_with_checks(["fsq", subject("fsq", levels=[5, 5])])
def test_conformance(check):
    check()

class TestGaussian(Contract):
    component = "gaussian_vae"
    parameters = {"channels": 4, "dim": 4}

class TestExpectation(Contract):
    component = "fsq"
    expected_failures = {"codes_are_int64_in_range": "a reason"}
"""


def test_pytest_runs_every_check_skips_what_does_not_apply_and_is_strict_on_expectations(tmp_path):
    (tmp_path / "test_own.py").write_text(OWN_TESTS)
    done = run_pytest(tmp_path, "-rsxX", "-v", "-k", "codes")
    assert "vqbench/fsq: codes_are_int64_in_range] PASSED" in done.stdout
    assert "vqbench/fsq(levels=[5, 5]): codes_are_int64_in_range] PASSED" in done.stdout
    assert "a continuous latent has no codes" in done.stdout
    assert "[XPASS(strict)] a reason" in done.stdout


def test_a_failing_check_says_in_pytest_what_it_protects(tmp_path):
    (tmp_path / "test_own.py").write_text(
        "from vqbench.testing import check, expect, subject\n"
        "from vqbench.testing.parametrize import BoundCheck\n"
        "@check(protects='the world.', fix='Look at the world.')\n"
        "def failing(subject):\n    expect(False, 'sums are off', got=2, expected=3)\n"
        "def test_it():\n    BoundCheck(failing, subject('fsq'))()\n"
    )
    done = run_pytest(tmp_path)
    assert "sums are off: got 2, expected 3" in done.stdout
    assert "What it protects: the world." in done.stdout
    assert "To mend it: Look at the world." in done.stdout


def test_a_check_failure_is_an_assertion_and_survives_pickling():
    failure = pickle.loads(pickle.dumps(CheckFailure("sums are off", got=2, expected=3)))
    assert isinstance(failure, AssertionError)
    assert str(failure) == "sums are off: got 2, expected 3"
