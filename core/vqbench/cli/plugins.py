"""``vqbench plugins``: what became of every plugin."""

from __future__ import annotations

from dataclasses import asdict
from textwrap import indent

import click

from vqbench.catalog import Catalog, CatalogOptions, LoadedPlugin, PluginFailure
from vqbench.cli.options import catalog_options, json_option
from vqbench.cli.output import echo_json, printable, table

__all__ = ["plugins"]


@click.command("plugins")
@click.option("--traceback/--no-traceback", "show_traceback", default=True, help="Show the tracebacks of failures.")
@json_option
@catalog_options
def plugins(show_traceback: bool, as_json: bool, catalog_options: CatalogOptions) -> None:
    """List plugins: those that loaded, in how many seconds; those switched off; those that failed, with stage and traceback.

    A plugin that fails costs only itself. VQBENCH_STRICT_PLUGINS=1 makes it an error, VQBENCH_DISABLE_PLUGIN_AUTOLOAD=1
    loads no installed plugin but the built-in one, VQBENCH_PLUGIN_SECONDS (30) is how long one may take. Where one ends
    vqbench itself, or hangs in C code, `vqbench doctor` says which.

    \b
    Examples:
      vqbench plugins
      vqbench plugins --plugin my_plugin.py
      vqbench plugins --no-plugin some-distribution
    """
    catalog = Catalog.load(catalog_options)
    if as_json:
        echo_json(
            {
                "loaded": [asdict(p) for p in catalog.plugins],
                "failed": [asdict(f) for f in catalog.failures],
                "disabled": [asdict(d) for d in catalog.disabled],
                "notes": [*catalog.notes, *catalog.name_notes],
            }
        )
        return
    rows: list[tuple[object, ...]] = []
    rows += [
        (p.name, _source(p.distribution, p.version, p.origin), p.components, f"{p.seconds:.2f}", _loaded(p))
        for p in catalog.plugins
    ]
    rows += [(f.plugin, _source(f.distribution, f.version), None, None, f"failed: {f.stage}") for f in catalog.failures]
    rows += [
        (d.name, _source(d.distribution, d.version, d.origin), None, None, f"off: {d.reason}") for d in catalog.disabled
    ]
    click.echo(table(("plugin", "from", "components", "seconds", "status"), rows) if rows else "(no plugins)")
    for failure in catalog.failures:
        click.echo("\n" + _explain(failure, show_traceback))
    for note in (*catalog.notes, *catalog.name_notes):
        click.echo("\n" + printable(f"note: {note}"))


def _loaded(plugin: LoadedPlugin) -> str:
    return "ok, but imports torch" if plugin.imported_torch else "ok"


def _source(distribution: str | None, version: str | None, origin: str = "not installed") -> str:
    return f"{distribution} {version}" if distribution else origin


def _explain(failure: PluginFailure, show_traceback: bool) -> str:
    text = f"{failure.owner} failed at stage {failure.stage}: {failure.message}"
    if show_traceback and failure.traceback:
        text += "\n\n" + indent(failure.traceback.rstrip(), "  ")
    return printable(text, multiline=True)
