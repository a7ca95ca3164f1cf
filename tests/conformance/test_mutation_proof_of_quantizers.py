"""The conformance kit catches what it is for: each bug by the check that names it, and nothing in what is right."""

from __future__ import annotations

from pathlib import Path

import pytest
from mutant_quantizers import MUTANTS
from sound_quantizers import CORRECT

from vqbench.catalog import Catalog, CatalogOptions
from vqbench.testing import checks_of, run_checks, subject
from vqbench.testing.quantizer import QUANTIZER_CHECKS

SUPPORT = Path(__file__).parents[1] / "support"
CATALOG = Catalog.load(CatalogOptions(plugins=("mutant_quantizers_plugin",), autoload=False))
CHECKS = {check.name: check for check in checks_of("quantizer")}


def outcomes(cls, checks):
    its = subject(f"mutant_quantizers_plugin/{cls.__name__.lower()}", CATALOG)
    return {outcome.check.name: outcome for outcome in run_checks(its, checks)}


@pytest.mark.parametrize("cls", CORRECT.values(), ids=CORRECT)
def test_what_is_right_passes_every_check(cls):
    found = outcomes(cls, QUANTIZER_CHECKS)
    assert {name: outcome.message for name, outcome in found.items() if not outcome.good} == {}


@pytest.mark.parametrize(("cls", "check"), MUTANTS.values(), ids=MUTANTS)
def test_a_bug_is_caught_by_the_check_that_names_it(cls, check):
    [outcome] = outcomes(cls, [CHECKS[check]]).values()
    print(outcome.message)
    assert outcome.status == "failed", cls.__doc__


def test_each_check_that_a_mutant_names_passes_what_the_mutant_was_made_of():
    for cls, check in MUTANTS.values():
        base = next(other for other in cls.__mro__ if other.__name__ in CORRECT)
        [outcome] = outcomes(base, [CHECKS[check]]).values()
        assert outcome.status == "passed", (base, check, outcome.message)


def test_a_plugin_that_imports_torch_to_register_is_caught(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(SUPPORT), prepend=":")
    [outcome] = outcomes(CORRECT["Bits"], [CHECKS["registration_imports_no_torch"]]).values()
    assert outcome.status == "failed"
    assert "torch" in outcome.message


def test_there_are_more_than_the_twenty_bugs_that_were_asked_for():
    assert len(MUTANTS) >= 20
