"""``vqbench run``: the main job."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import click

from vqbench.cli.assets import assets_option
from vqbench.cli.options import catalog_options
from vqbench.cli.output import printable, warn
from vqbench.cli.selection import Selection, selection_options, skipped
from vqbench.errors import UnavailableError

if TYPE_CHECKING:
    from vqbench.catalog import CatalogOptions
    from vqbench.plan import Plan
    from vqbench.results import CellRecord, ResultsFolder

__all__ = ["run"]

MOST_ROWS = 60
"""Rows of the picture."""


@click.command(
    epilog="Exit code 0: every cell has numbers; 1: some failed (the others are kept); 2: bad input; 130: interrupted."
)
@selection_options
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option("--jobs", type=click.IntRange(min=1), help="Training runs at a time; by default as many as pay here.")
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", help="Limit for each job.")
@click.option(
    "--checkpoint-seconds",
    type=click.FloatRange(min=0),
    default=30.0,
    show_default=True,
    help="Time between two checkpoints of a training run.",
)
@click.option("--force", is_flag=True, help="Forget earlier records and checkpoints of the selected cells.")
@click.option("--fail-fast", is_flag=True, help="Stop at the first failure.")
@click.option(
    "--offline",
    is_flag=True,
    help="Keep workers from the network: sets VQBENCH_OFFLINE and HF_HUB_OFFLINE for them. (vqbench itself downloads nothing.)",
)
@assets_option
@click.option("--quiet", is_flag=True, help="No progress, only the leaderboards.")
@catalog_options
@click.pass_context
def run(
    context: click.Context,
    selection: Selection,
    device: str,
    jobs: int | None,
    timeout: float | None,
    checkpoint_seconds: float,
    force: bool,
    fail_fast: bool,
    offline: bool,
    quiet: bool,
    catalog_options: CatalogOptions,
) -> None:
    """Train, convert and evaluate every cell of SUITE; print its leaderboards.

    SUITE is the name of a bundled suite or a TOML file (default: quickstart). A run continues where an earlier one stopped:
    what has a good record is not run again.

    \b
    Examples:
      vqbench run
      vqbench run quickstart -q fsq -q 'gq*' -b unet
      vqbench run my-suite.toml --set recipe.steps=2000 --results results/long
    """
    from vqbench.results import ResultsFolder
    from vqbench.run.cached import what_lacks_weights
    from vqbench.run.job import WorkerOptions
    from vqbench.run.session import run_plan

    if offline:
        os.environ.update(VQBENCH_OFFLINE="1", HF_HUB_OFFLINE="1")  # workers inherit them
    plan = selection.plan(catalog_options)
    for line in skipped(plan.skips):
        click.echo(f"skipped: {line}", err=True)
    if lacking := what_lacks_weights(plan):
        click.echo(printable(f"note: {lacking}"), err=True)
    if not plan.cells:
        raise UnavailableError("No cell of this suite can run here", hint="The reasons are above.")
    options = WorkerOptions(
        suite=plan.suite,
        results=selection.results,
        catalog=catalog_options,
        device=device,
        checkpoint_seconds=checkpoint_seconds,
    )
    summary = run_plan(plan, options=options, jobs=jobs, timeout=timeout, force=force, fail_fast=fail_fast, quiet=quiet)
    click.echo(_publish(plan, ResultsFolder(selection.results, plan.suite)), nl=False)
    click.echo(summary.text(), err=True)
    context.exit(summary.exit_code)


def _publish(plan: Plan, folder: ResultsFolder) -> str:
    """Write the picture and the leaderboard of a suite's folder; the tables for the terminal."""
    from vqbench.leaderboard import write_leaderboard_files
    from vqbench.leaderboard.picture import compose_picture
    from vqbench.leaderboard.publish import PICTURE_NAME
    from vqbench.results import read_records

    records, broken = read_records(folder.path)
    planned = {cell.id: index for index, cell in enumerate(plan.cells)}
    rows = [
        (_caption(record), folder.sample_path(record.cell_id))
        for record in sorted(records, key=lambda record: planned.get(record.cell_id, len(planned)))
        if record.status == "ok"
    ]
    compose_picture(folder.path / PICTURE_NAME, rows[:MOST_ROWS])
    width = shutil.get_terminal_size((120, 24)).columns
    return write_leaderboard_files(folder, records, broken, width=width, warn=warn)


def _caption(record: CellRecord) -> str:
    psnr = record.metrics.get("psnr")
    quality = "" if psnr is None or psnr.value is None else f": {psnr.value:.2f} dB"
    return f"{record.quantizer.label} x {record.backbone.label}, {record.dataset.label}, seed {record.seed}{quality}"
