"""``vqbench plan``: what ``run`` would do."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from vqbench.cli.assets import assets_option
from vqbench.cli.options import catalog_options, json_option
from vqbench.cli.output import echo_json, printable, table
from vqbench.cli.selection import Selection, selection_options, skipped

if TYPE_CHECKING:
    from vqbench.catalog import CatalogOptions
    from vqbench.plan import Cell, Plan

__all__ = ["plan"]


@click.command(epilog="Exit code 0: shown; 2: the suite is malformed or impossible.")
@selection_options
@assets_option
@catalog_options
@json_option
def plan(selection: Selection, catalog_options: CatalogOptions, as_json: bool) -> None:
    """Show what `vqbench run SUITE` would do: training runs, cells, exact bits, skips, what is done already.

    \b
    Examples:
      vqbench plan
      vqbench plan my-suite.toml -b vit --set recipe.steps=2000
      vqbench plan quickstart --json | jq '.cells[].bits_per_image'
    """
    from vqbench.results import ResultsFolder
    from vqbench.run.cached import what_is_cached, what_lacks_weights

    made = selection.plan(catalog_options)
    cached = what_is_cached(made, ResultsFolder(selection.results, made.suite)).cells
    if as_json:
        echo_json(_as_json(made, cached) | {"lacking": what_lacks_weights(made)})
    else:
        click.echo(_as_text(made, cached), nl=False)
        if lacking := what_lacks_weights(made):
            click.echo(printable(f"Note: {lacking}."))


def _as_json(plan: Plan, cached: frozenset[str]) -> dict[str, Any]:
    return {
        "suite": plan.suite,
        "metrics": [metric.id for metric in plan.metrics],
        "units": [{"id": unit.id, **unit.identity} for unit in plan.units],
        "cells": [
            {
                "id": cell.id,
                "unit": cell.unit.id,
                "quantizer": cell.label,
                "backbone": cell.backbone_label,
                "dataset": cell.dataset_label,
                "seed": cell.unit.seed,
                "component": cell.quantizer.identity,
                "levels": [asdict(level.rate) for level in cell.levels],
                "bits_per_image": _bits(cell),
                "bits_per_pixel": None if cell.bits is None else float(cell.bits) / cell.unit.image_size**2,
                "cached": cell.id in cached,
            }
            for cell in plan.cells
        ],
        "skips": [asdict(skip) for skip in plan.skips],
    }


def _bits(cell: Cell) -> int | float | None:
    """Whole bits as an integer: exact."""
    if cell.bits is None:
        return None
    return cell.bits.twos if cell.bits.odd == 1 else float(cell.bits)


def _as_text(plan: Plan, cached: frozenset[str]) -> str:
    order = {unit.id: index for index, unit in enumerate(plan.units, 1)}
    headers = ["quantizer", "backbone", "dataset", "seed", "bits/image", "tokens × codebook", "trained as", "state"]
    rows = [
        [
            cell.label,
            cell.backbone_label,
            f"{cell.dataset_label} {cell.unit.image_size}²",
            cell.unit.seed,
            cell.bits or "continuous",
            _layout(cell),
            f"{order[cell.unit.id]}: {cell.unit.quantizer.name}",
            "done" if cell.id in cached else "to run",
        ]
        for cell in plan.cells
    ]
    lines = [f"Suite {plan.suite}", "", table(headers, rows) if rows else "No cells to run."]
    if plan.skips:
        lines += ["", "Skipped"]
        lines += [f"  {line}" for line in skipped(plan.skips)]
    to_run = [cell for cell in plan.cells if cell.id not in cached]
    runs = len({cell.unit.id for cell in to_run})
    done = len(plan.cells) - len(to_run)
    lines += ["", f"{len(plan.cells)} cells, {done} done; to run: {runs} training runs, {len(to_run)} evaluations."]
    return "\n".join(lines) + "\n"


def _layout(cell: Cell) -> str:
    """``8×8×1 × 1024`` per level: positions, tokens at each, codebook size."""
    parts = []
    for level in cell.levels:
        sizes = level.rate.codebook_sizes
        size = str(sizes[0]) if len(set(sizes)) == 1 else "/".join(map(str, sizes)) or "-"
        parts.append(f"{level.rate.height}×{level.rate.width}×{len(sizes)} × {size}")
    return " + ".join(parts)
