"""``vqbench compare``: two result sets, and a verdict for continuous integration."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vqbench.cli.options import json_option, outs_option
from vqbench.cli.output import format_of, warn, write_file
from vqbench.errors import UsageError

if TYPE_CHECKING:
    from vqbench.compare import Format, Gate, Report

__all__ = ["compare"]

FORMATS = ("table", "markdown", "json", "junit")
FORMAT_BY_SUFFIX: dict[str, Format] = {".txt": "table", ".md": "markdown", ".json": "json", ".xml": "junit"}


@click.command(
    epilog="Exit code 0: no regression; 1: a regression; 2: not comparable (something, or nothing was compared), or bad input."
)
@click.argument("base", metavar="BASE")
@click.argument("new", metavar="NEW")
@click.option(
    "--gate",
    "gate_file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.toml",
    help="From when on a difference counts, what must be there, what does not matter; see docs/cli.md.",
)
@click.option("--format", "form", type=click.Choice(FORMATS), help="What to print; by default a table.")
@json_option
@outs_option(".txt, .md, .json or .xml (JUnit)")
@click.pass_context
def compare(
    context: click.Context,
    base: str,
    new: str,
    gate_file: Path | None,
    form: Format | None,
    as_json: bool,
    outs: tuple[Path, ...],
) -> None:
    """Compare two result sets: what is better, worse, the same, missing, new or not comparable in NEW.

    BASE and NEW are results folders (of one suite or of many), single records, or either in a git revision, REV:PATH.
    Speeds are compared only within one environment. A speed counts as changed if it is significant (Mann-Whitney over
    the samples) and beyond a factor of 1.1, on a CPU only if it was timed in passes (`vqbench results merge`); quality,
    if it is significant on the same images (where both sides have the values of each image) and beyond 0.02 dB or
    0.2 %. What disappeared, failed or became null is a regression.

    \b
    Examples:
      vqbench compare results/base results/new
      vqbench compare main:results/published results/local --gate gate.toml
      vqbench compare results/base results/new --format markdown --out junit.xml
      vqbench compare a/0123456789abcdef.json b/0123456789abcdef.json --json
    """
    if as_json and form not in (None, "json"):
        raise UsageError("--json and --format contradict each other", got=f"--format {form}")
    formats = {out: format_of(out, FORMAT_BY_SUFFIX) for out in outs}

    from vqbench.compare import Gate, compare_sides, load_gate, open_side, render

    gate = load_gate(gate_file) if gate_file else Gate(schema=1)
    with contextlib.ExitStack() as stack:
        before, after = (stack.enter_context(open_side(text, warn=warn)) for text in (base, new))
        report = compare_sides(before, after, gate)
    _notes(report, gate)
    for out, its in formats.items():
        write_file(out, render(report, its))
    click.echo(render(report, "json" if as_json else form or "table"), nl=False)
    context.exit(report.exit_code)


def _notes(report: Report, gate: Gate) -> None:
    for index in report.unused:
        rule = gate.rules[index].model_dump(exclude_none=True, exclude={"reason"})
        warn(f"rules[{index}] of the gate matched nothing: {rule}")
