"""Checks of what a component says about itself."""

from __future__ import annotations

from functools import cache

from vqbench.catalog import CatalogOptions, Entry, levels_of, missing_requirements
from vqbench.specs import QuantizerSpec
from vqbench.testing.check import Check, NotApplicable, check, expect
from vqbench.testing.fresh_process import HEAVY, IMPORTED, catalog_elsewhere
from vqbench.testing.subject import Subject

__all__ = ["ANNOUNCEMENT_CHECKS", "DESCRIPTOR_CHECKS"]


@check(
    protects="`vqbench list` and every plan load the plugin: one that imports torch makes each of them seconds slower.",
    fix="Import torch in the target's module, not in the plugin's; name the class as a text, \"package.module:Class\".",
)
def registration_imports_no_torch(subject: Subject) -> None:
    heavy = _imported_by_loading(subject.catalog.options)
    expect(
        not heavy,
        "loading the plugins imports what only their targets may",
        got=heavy,
        expected="none of " + ", ".join(HEAVY),
    )


@cache
def _imported_by_loading(options: CatalogOptions) -> str:
    """Which of the heavy packages a new process has imported once its catalog is loaded; once for all components."""
    return str(catalog_elsewhere(options, f"catalog.entries()\nanswer = {IMPORTED}"))


@check(
    protects="Suites, `vqbench show` and error messages tell users what a parameter is.",
    fix="Give each Parameter a summary of at least two words, and a minimum, maximum or choices where values are limited.",
)
def parameters_are_documented(subject: Subject) -> None:
    spec = subject.entry.spec
    for parameter in getattr(spec, "parameters", ()):
        summary = parameter.summary.strip()
        expect(
            len(summary.split()) > 1 or summary.lower() != parameter.name.lower(),
            f"the summary of parameter {parameter.name!r} says no more than its name",
            got=repr(summary),
        )
    expect(len(spec.summary.split()) > 1, "the summary says next to nothing", got=repr(spec.summary), expected="a line")


@check(
    protects="A target that does not import fails only in the middle of a run, after others were trained.",
    fix='Look at `target` of the descriptor: "package.module:Class", and at what that module imports.',
)
def the_target_is_a_class_of_its_kind(subject: Subject) -> None:
    from vqbench import interfaces

    entry = subject.entry
    assert isinstance(entry, Entry)
    if missing := missing_requirements(entry.spec):
        raise NotApplicable(f"{missing[0].module} is not installed: {missing[0].install}")
    kind: type = getattr(interfaces, entry.kind.capitalize())
    targets: list[Entry | str] = [entry]
    if isinstance(entry.spec, QuantizerSpec):
        targets += [level.target for level in levels_of(entry, subject.parameters) if level.target is not None]
    for target in targets:
        cls = subject.catalog.load_target(target)
        expect(
            isinstance(cls, type) and issubclass(cls, kind),
            "the target is of another kind",
            got=repr(cls),
            expected=kind,
        )


ANNOUNCEMENT_CHECKS: tuple[Check, ...] = (registration_imports_no_torch, parameters_are_documented)
"""Of whatever a plugin announces."""
DESCRIPTOR_CHECKS: tuple[Check, ...] = (*ANNOUNCEMENT_CHECKS, the_target_is_a_class_of_its_kind)
"""Of components that have a class."""
