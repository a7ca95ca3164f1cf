"""``vqbench check``: the conformance kit on a plugin or one component."""

from __future__ import annotations

import sys
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vqbench.catalog import KINDS, Catalog, CatalogOptions
from vqbench.cli.options import catalog_options, json_option, outs_option
from vqbench.cli.output import echo_notes, format_of, table, write_file
from vqbench.errors import UnknownComponentError, UsageError, closest

if TYPE_CHECKING:
    from vqbench.catalog.naming import AnyEntry
    from vqbench.testing import Check, Outcome, Subject
    from vqbench.testing.render import Format

__all__ = ["check"]

FORMATS = ("table", "json", "junit")
FORMAT_BY_SUFFIX: dict[str, Format] = {".txt": "table", ".json": "json", ".xml": "junit"}


@click.command(epilog="Exit code 0: nothing to mend; 1: a check failed, or passed unexpectedly; 2: wrong usage.")
@click.argument("target", required=False)
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="Set a parameter of the component. Repeatable."
)
@click.option("--check", "globs", multiple=True, metavar="GLOB", help="Only these checks. Repeatable.")
@click.option(
    "--expect-failure",
    "expectations",
    multiple=True,
    metavar="CHECK=REASON",
    help="This check is known to fail, and why; that it passes is then a failure. Repeatable.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=120.0,
    show_default=True,
    metavar="SECONDS",
    help="Limit for each check; code in C cannot be stopped.",
)
@click.option(
    "--list", "listing", is_flag=True, help="List the checks and what each protects, of TARGET or of all kinds."
)
@click.option("--format", "form", type=click.Choice(FORMATS), help="What to print; by default a table.")
@json_option
@outs_option(".txt, .json or .xml (JUnit)")
@catalog_options
@click.pass_context
def check(
    context: click.Context,
    target: str | None,
    settings: tuple[str, ...],
    globs: tuple[str, ...],
    expectations: tuple[str, ...],
    timeout: float,
    listing: bool,
    form: Format | None,
    as_json: bool,
    outs: tuple[Path, ...],
    catalog_options: CatalogOptions,
) -> None:
    """Check that a component does what vqbench takes for granted, and say what to mend.

    TARGET is a plugin, all of whose components are checked, or one component: a short name, a full id plugin/name, or
    either with its kind in front, kind:name.

    \b
    Examples:
      vqbench check my-plugin
      vqbench check my-plugin/rounding --set levels=5
      vqbench check my-plugin --plugin my_plugin.py --check 'codes_*'
      vqbench check my-plugin --expect-failure 'no_score_matrix=K is at most 16'
      vqbench check my-plugin --out junit.xml
      vqbench check --list
    """
    if as_json and form not in (None, "json"):
        raise UsageError("--json and --format contradict each other", got=f"--format {form}")
    formats = {out: format_of(out, FORMAT_BY_SUFFIX) for out in outs}
    catalog = Catalog.load(catalog_options)
    if listing:
        click.echo(_listed(KINDS if target is None else dict.fromkeys(e.kind for e in _entries(catalog, target))))
        return
    if target is None:
        raise UsageError("check needs a TARGET", expected="a plugin or a component", hint="`vqbench list` shows them.")
    from vqbench.testing.render import render

    outcomes = _checked(_subjects(catalog, target, settings), globs, _reasons(expectations), timeout)
    for out, its in formats.items():
        write_file(out, render(outcomes, its))
    click.echo(render(outcomes, "json" if as_json else form or "table"), nl=False)
    echo_notes(catalog)
    context.exit(0 if all(outcome.good for outcome in outcomes) else 1)


def _entries(catalog: Catalog, target: str) -> tuple[AnyEntry, ...]:
    """The components of a plugin or distribution of this name; else the one component."""
    for failure in catalog.failures:
        if target in (failure.plugin, failure.distribution):
            raise failure.error()
    plugins = {plugin.name for plugin in catalog.plugins if target in (plugin.name, plugin.distribution)}
    if entries := tuple(e for e in catalog.entries() if e.plugin in plugins):
        return entries
    try:
        return (catalog.find(target),)
    except UnknownComponentError as error:
        known = {name for plugin in catalog.plugins for name in (plugin.name, plugin.distribution) if name}
        if (hint := closest(target, known)) is None:
            raise
        raise UnknownComponentError(f"there is no plugin or component {target!r}", hint=hint) from error


def _subjects(catalog: Catalog, target: str, settings: tuple[str, ...]) -> list[Subject]:
    from vqbench.testing import Subject

    entries = _entries(catalog, target)
    if settings and len(entries) > 1:
        raise UsageError(
            "--set is for one component", got=f"plugin {target!r} with {len(entries)}", hint="Name one of them."
        )
    return [Subject(entry=entry, catalog=catalog, given=_parameters(settings)) for entry in entries]


def _parameters(settings: tuple[str, ...]) -> dict[str, Any]:
    from vqbench.plan.overrides import parse_value

    return {name: parse_value(value) for name, value in _pairs(settings, "--set", "levels=5").items()}


def _reasons(expectations: tuple[str, ...]) -> dict[str, str]:
    return _pairs(expectations, "--expect-failure", "no_score_matrix='K is at most 16'")


def _pairs(texts: tuple[str, ...], option: str, example: str) -> dict[str, str]:
    pairs = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not (name and equals and value):
            raise UsageError(f"{option} wants NAME=VALUE", got=text, hint=f"For example: {option} {example}")
        pairs[name] = value
    return pairs


def _checked(subjects: list[Subject], globs: tuple[str, ...], reasons: dict[str, str], timeout: float) -> list[Outcome]:
    """All outcomes; progress on standard error if that is a terminal."""
    from vqbench.testing import run_checks
    from vqbench.testing.outcome import check_names

    chosen = [(its, _chosen(its.entry.kind, globs)) for its in subjects]
    every = [check for _, checks in chosen for check in checks]
    if not every:
        raise UsageError(
            "there is nothing to check", got=" ".join(globs) or None, hint="`vqbench check --list` shows all checks."
        )
    check_names(every, reasons)
    outcomes: list[Outcome] = []
    terminal = sys.stderr.isatty()
    with click.progressbar(length=len(every), label="Checking", file=sys.stderr, hidden=not terminal) as bar:
        for its, checks in chosen:
            for outcome in run_checks(its, checks, reasons, timeout=timeout):
                outcomes.append(outcome)
                bar.update(1)
    return outcomes


def _chosen(kind: str, globs: tuple[str, ...]) -> list[Check]:
    from vqbench.testing import checks_of

    return [each for each in checks_of(kind) if not globs or any(fnmatchcase(each.name, glob) for glob in globs)]


def _listed(kinds: Any) -> str:
    sections = []
    for kind in kinds:
        if checks := _chosen(kind, ()):
            rows = [(each.name, each.protects) for each in checks]
            sections.append(
                f"Checks of a {kind}\n\n" + table(("check", "what it protects"), rows, wrap="what it protects")
            )
    return "\n\n".join(sections)
