"""Checks of suite files that a plugin offers by name: they can be planned, here and where everything is at hand."""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from vqbench.catalog import Catalog, Entry, SuiteEntry
from vqbench.errors import VQBenchError
from vqbench.plan import Plan, build_plan, load_suite
from vqbench.plan.suite import Suite
from vqbench.specs import ComponentSpec, DatasetSpec
from vqbench.testing.check import Check, CheckFailure, check, expect
from vqbench.testing.fresh_process import HEAVY, IMPORTED, component_elsewhere
from vqbench.testing.subject import Subject

__all__ = ["SUITE_CHECKS"]

PLAN = f"""
from vqbench.plan import build_plan, load_suite
build_plan(load_suite(entry.spec.path), catalog)
answer = {IMPORTED}
"""


@check(
    protects="Results lie in a folder of the name in the file; `vqbench run NAME` must be the one that fills it.",
    fix="Give descriptor and file one name.",
)
def the_file_is_a_suite_of_that_name(subject: Subject) -> None:
    suite = _load(subject)
    expect(suite.name == subject.entry.name, "the file has another name", got=suite.name, expected=subject.entry.name)


@check(
    protects="A suite that demands equal bits, or names a component wrongly, fails for its users only where the data is.",
    fix="Look at the names, parameters and presets of its components, at stride and image size, and at codebook sizes.",
)
def it_plans_where_everything_is_at_hand(subject: Subject) -> None:
    suite = _load(subject)
    plan = _plan(subject, suite, _everything_at_hand(subject.catalog))
    expect(plan.cells, "no cell would run")
    excluded = {rule.reason for rule in suite.exclude}
    other = {skip.reason for skip in plan.skips} - excluded
    expect(not other, "cells are skipped that the suite does not exclude", got="; ".join(sorted(other)))


@check(
    protects="On a machine that lacks something, the rest of the suite runs, and what does not run says why.",
    fix="Let `revision` and requirements of the components say what is lacking (UnavailableError, Requirement).",
)
def what_is_lacking_is_skipped_with_a_reason(subject: Subject) -> None:
    plan = _plan(subject, _load(subject), subject.catalog)
    expect(plan.cells or plan.skips, "nothing is planned")
    for skip in plan.skips:
        expect(skip.reason.strip(), f"{skip.quantizer} on {skip.backbone}, {skip.dataset} is skipped without a reason")


@check(
    protects="An exclusion that excludes nothing is a label mistyped, or one that was renamed: the cells run after all.",
    fix="Compare the exclusion's globs with the labels that `vqbench plan` shows.",
)
def every_exclusion_excludes_something(subject: Subject) -> None:
    suite = _load(subject)
    plan = _plan(subject, suite, _everything_at_hand(subject.catalog))
    places = [(skip.quantizer, skip.backbone, skip.dataset) for skip in plan.skips]
    for rule in suite.exclude:
        globs = (rule.quantizer, rule.backbone, rule.dataset)
        expect(
            any(all(map(fnmatchcase, place, globs)) for place in places),
            "an exclusion excludes nothing",
            got=" × ".join(globs),
        )


@check(
    protects="`vqbench plan` answers at once, also on a machine that could not run the suite.",
    fix="Import torch in the modules of targets only, not in functions of descriptors (levels, check, revision).",
)
def planning_imports_no_torch(subject: Subject) -> None:
    heavy = component_elsewhere(subject, PLAN)
    expect(not heavy, "planning the suite imports", got=heavy, expected="none of " + ", ".join(HEAVY))


def _load(subject: Subject) -> Suite:
    assert isinstance(subject.entry, SuiteEntry)
    try:
        return load_suite(subject.entry.spec.path)
    except VQBenchError as error:
        raise CheckFailure(str(error)) from error


def _plan(subject: Subject, suite: Suite, catalog: Catalog) -> Plan:
    assert isinstance(subject.entry, SuiteEntry)
    try:
        return build_plan(suite, catalog, source=subject.entry.spec.path.name)
    except VQBenchError as error:
        raise CheckFailure(str(error)) from error


def _everything_at_hand(catalog: Catalog) -> Catalog:
    """The catalog as on a machine that has all data and all requirements: what is planned depends on the files alone."""
    entries = (replace(e, spec=_at_hand(e.spec)) if isinstance(e, Entry) else e for e in catalog.entries())
    return Catalog(entries, options=catalog.options, plugins=catalog.plugins, failures=catalog.failures)


def _at_hand(spec: ComponentSpec) -> ComponentSpec:
    changes: dict[str, Any] = {"requires": ()}
    if isinstance(spec, DatasetSpec):
        changes["revision"] = lambda parameters: "at hand"
    return replace(spec, **changes)


SUITE_CHECKS: tuple[Check, ...] = (
    the_file_is_a_suite_of_that_name,
    it_plans_where_everything_is_at_hand,
    what_is_lacking_is_skipped_with_a_reason,
    every_exclusion_excludes_something,
    planning_imports_no_torch,
)
