"""``vqbench list``: which components there are."""

from __future__ import annotations

from typing import Any

import click

from vqbench.catalog import KINDS, Catalog, CatalogOptions, Entry
from vqbench.catalog.naming import AnyEntry
from vqbench.cli.options import catalog_options, json_option
from vqbench.cli.output import echo_json, echo_notes, table
from vqbench.errors import closest

__all__ = ["list_components"]


class Kind(click.ParamType[str]):
    """A kind of component, in the singular or plural."""

    name = "kind"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        kind = value.lower().removesuffix("s")
        if kind not in KINDS:
            hint = closest(value, [f"{k}s" for k in KINDS])
            self.fail(f"{value!r} is none of {', '.join(f'{k}s' for k in KINDS)}." + (f" {hint}" if hint else ""))
        return kind


@click.command("list")
@click.argument("kind", type=Kind(), required=False, metavar="[KIND]")
@json_option
@catalog_options
def list_components(kind: str | None, as_json: bool, catalog_options: CatalogOptions) -> None:
    """List components, of one KIND or of all.

    KIND is quantizers, backbones, datasets, metrics, suites or publications (files of published numbers). A component
    whose short name belongs to another one is listed under its full id, plugin/name.

    \b
    Examples:
      vqbench list
      vqbench list quantizers
      vqbench list backbones --json
      vqbench list --plugin my_plugin.py
    """
    catalog = Catalog.load(catalog_options)
    if as_json:
        echo_json(
            {
                "components": [_row(catalog, e) for e in catalog.entries(kind)],
                "failed_plugins": [f.plugin for f in catalog.failures],
                "notes": list(catalog.notes),
            }
        )
        return
    sections = []
    for listed in (kind,) if kind else KINDS:
        entries = catalog.entries(listed)
        if entries or kind:
            title = f"{listed}s".capitalize()
            sections.append(f"{title}\n\n{_table(catalog, entries)}" if entries else f"{title}\n\n(none)")
    click.echo("\n\n".join(sections) or "(no components)")
    echo_notes(catalog)


def _row(catalog: Catalog, entry: AnyEntry) -> dict[str, Any]:
    return {
        "kind": entry.kind,
        "id": entry.id,
        "name": catalog.short_name(entry),
        "summary": entry.spec.summary,
        "version": _version(entry),
        "plugin": entry.plugin,
        "distribution": entry.distribution,
        "distribution_version": entry.distribution_version,
    }


def _table(catalog: Catalog, entries: tuple[AnyEntry, ...]) -> str:
    rows = [(catalog.short_name(e), e.spec.summary, _version(e), e.source) for e in entries]
    return table(("id", "summary", "version", "plugin"), rows, wrap="summary")


def _version(entry: AnyEntry) -> int | None:
    """The component's version; a file (a suite, published numbers) has none, it is identified by its content."""
    return entry.spec.version if isinstance(entry, Entry) else None
