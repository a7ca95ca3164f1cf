"""``vqbench show``: one component whole."""

from __future__ import annotations

import click

from vqbench.catalog import Catalog, CatalogOptions
from vqbench.cli.description import describe_component, render
from vqbench.cli.options import catalog_options, json_option
from vqbench.cli.output import echo_json, echo_notes, printable

__all__ = ["show"]


@click.command("show")
@click.argument("component", metavar="ID")
@json_option
@catalog_options
def show(component: str, as_json: bool, catalog_options: CatalogOptions) -> None:
    """Show everything about one component: parameters, presets, requirements, source, levels and bits.

    ID is a short name, a full id plugin/name, or either with its kind in front, kind:name.

    \b
    Examples:
      vqbench show fsq
      vqbench show vqbench/fsq
      vqbench show backbone:unet --json
    """
    catalog = Catalog.load(catalog_options)
    description = describe_component(catalog, catalog.find(component))
    if as_json:
        echo_json(description)
        return
    click.echo(printable(render(description), multiline=True))
    echo_notes(catalog)
