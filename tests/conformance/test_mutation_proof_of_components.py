"""The checks of backbones, datasets and metrics catch what they are for, each bug by the check that names it."""

from __future__ import annotations

import pytest
from mutant_components import CORRECT, KINDS, MUTANTS

from vqbench.catalog import Catalog, CatalogOptions
from vqbench.testing import checks_of, run_checks, subject
from vqbench.testing.descriptor import DESCRIPTOR_CHECKS

CATALOG = Catalog.load(CatalogOptions(plugins=("mutant_components_plugin",), autoload=False))


def kind_of(cls):
    return next(kind for kind, base in KINDS.items() if issubclass(cls, base))


def outcomes(cls, checks):
    return list(run_checks(subject(f"mutant_components_plugin/{cls.__name__.lower()}", CATALOG), checks))


@pytest.mark.parametrize("cls", CORRECT.values(), ids=CORRECT)
def test_what_is_right_passes_every_check(cls):
    checks = [check for check in checks_of(kind_of(cls)) if check not in DESCRIPTOR_CHECKS]
    assert {o.check.name: o.message for o in outcomes(cls, checks) if not o.good} == {}


@pytest.mark.parametrize(("cls", "name"), MUTANTS.values(), ids=MUTANTS)
def test_a_bug_is_caught_by_the_check_that_names_it(cls, name):
    [outcome] = outcomes(cls, [check for check in checks_of(kind_of(cls)) if check.name == name])
    print(outcome.message)
    assert outcome.status == "failed", cls.__doc__
