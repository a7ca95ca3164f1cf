"""Checks of what a component says about itself."""

from __future__ import annotations

import subprocess
import sys
from functools import cache

from vqbench.catalog import Entry, missing_requirements
from vqbench.specs import QuantizerSpec
from vqbench.testing.check import Check, check, expect
from vqbench.testing.subject import Subject

__all__ = ["DESCRIPTOR_CHECKS"]

HEAVY = ("torch", "torchvision", "timm")
SECONDS_TO_LOAD = 60.0


@check(
    protects="`vqbench list` and every plan load the plugin: one that imports torch makes each of them seconds slower.",
    fix="Import torch in the target's module, not in the plugin's; name the class as a text, \"package.module:Class\".",
)
def registration_imports_no_torch(subject: Subject) -> None:
    options = subject.catalog.options
    heavy = _imported_by_loading(options.plugins, options.disabled, options.autoload)
    expect(
        not heavy,
        "loading the plugins imports what only their targets may",
        got=heavy,
        expected="none of " + ", ".join(HEAVY),
    )


@cache
def _imported_by_loading(plugins: tuple[str, ...], disabled: tuple[str, ...], autoload: bool) -> str:
    """Which of the heavy packages a new process has imported once its catalog is loaded; once for all components.

    Raises:
        CheckFailure: it does not load there.
    """
    code = (
        "import sys\nfrom vqbench.catalog import Catalog, CatalogOptions\n"
        f"Catalog.load(CatalogOptions(plugins={plugins!r}, disabled={disabled!r}, autoload={autoload!r})).entries()\n"
        f"sys.stderr.write('loaded:' + ','.join(m for m in {HEAVY!r} if m in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=SECONDS_TO_LOAD, check=False
    )
    _, told, heavy = done.stderr.rpartition("loaded:")
    expect(told, "the plugins do not load in a process of their own", got=done.stderr[-1000:])
    return heavy


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
    if not isinstance(entry, Entry):
        return
    missing = missing_requirements(entry.spec)
    expect(not missing, "a requirement is not installed", got=", ".join(r.module for r in missing))
    kind: type = getattr(interfaces, entry.kind.capitalize())
    targets: list[Entry | str] = [entry]
    if isinstance(entry.spec, QuantizerSpec):
        targets += [level.target for level in entry.spec.levels(subject.parameters) if level.target is not None]
    for target in targets:
        cls = subject.catalog.load_target(target)
        expect(
            isinstance(cls, type) and issubclass(cls, kind),
            "the target is of another kind",
            got=repr(cls),
            expected=kind,
        )


DESCRIPTOR_CHECKS: tuple[Check, ...] = (
    registration_imports_no_torch,
    parameters_are_documented,
    the_target_is_a_class_of_its_kind,
)
