"""``vqbench leaderboard``: rank what a results folder holds."""

from __future__ import annotations

import gc
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vqbench.cli.options import json_option
from vqbench.cli.output import format_of, warn, write_file
from vqbench.cli.selection import DEFAULT_RESULTS
from vqbench.errors import PluginError, ResultsError, UsageError

if TYPE_CHECKING:
    from vqbench.leaderboard import Format, Leaderboard, Publication, RateAxis
    from vqbench.results import BrokenRecord, CellRecord

__all__ = ["leaderboard"]

BOARDS = ("quality", "usage", "throughput")
AXES = ("nominal", "entropy", "actual")
FORMATS = ("table", "markdown", "csv", "json", "html")
FORMAT_BY_SUFFIX: dict[str, Format] = {
    ".txt": "table",
    ".md": "markdown",
    ".csv": "csv",
    ".json": "json",
    ".html": "html",
}
WIDTH_OF_A_FILE = 120


@click.command(
    epilog="Exit code 0: shown (cells without numbers and damaged records are listed apart); 2: nothing to show."
)
@click.argument("results", metavar="[DIR]", type=click.Path(path_type=Path), default=DEFAULT_RESULTS)
@click.option(
    "--board",
    type=click.Choice([*BOARDS, "rate", "all"]),
    default="all",
    show_default=True,
    help="Which board to show.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    help="How to show it; by default what the name given to --out ends in, else a table.",
)
@json_option
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write to a file instead.")
@click.option(
    "--plot",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.png|svg",
    help="Draw the rate board: quality over rate.",
)
@click.option("--anchor", metavar="LABEL", help="What the rate board compares with: gq, say, for gq-8b, gq-16b, …")
@click.option(
    "--rate-axis",
    type=click.Choice(AXES),
    default="nominal",
    show_default=True,
    help="What the rate board calls rate: nominal bits, entropy of the codes, or size of the entropy-coded codes.",
)
@click.option("--sort", metavar="METRIC", help="Rank by this metric where a board has it.")
@click.option("-q", "--quantizer", "quantizers", multiple=True, metavar="GLOB", help="Only these quantizers.")
@click.option("-b", "--backbone", "backbones", multiple=True, metavar="GLOB", help="Only these backbones.")
@click.option("-d", "--dataset", "datasets", multiple=True, metavar="GLOB", help="Only these datasets.")
@click.option("-s", "--seed", "seeds", multiple=True, metavar="GLOB", help="Only these seeds.")
@click.option("--suite", "suites", multiple=True, metavar="GLOB", help="Only records of these suites.")
@click.option(
    "--group",
    "groups",
    multiple=True,
    metavar="GLOB",
    help="Only groups of this id, dataset, bits per image (or 'continuous'), protocol or environment.",
)
@click.option(
    "--with-published", is_flag=True, help="Add published numbers, with protocol, source and status; never ranked."
)
def leaderboard(
    results: Path,
    board: str,
    form: Format | None,
    as_json: bool,
    out: Path | None,
    plot: Path | None,
    anchor: str | None,
    rate_axis: RateAxis,
    sort: str | None,
    quantizers: tuple[str, ...],
    backbones: tuple[str, ...],
    datasets: tuple[str, ...],
    seeds: tuple[str, ...],
    suites: tuple[str, ...],
    groups: tuple[str, ...],
    with_published: bool,
) -> None:
    """Rank the records in DIR (default: results/local).

    DIR is a results folder or the folder of one suite. Only what may be compared shares a ranking: cells of equal
    bits, dataset, image size and protocol; for throughput, of an equal environment too. Several seeds of the same
    thing are one row, with Student's 95 % interval over the seeds. Rows share a rank unless they differ
    significantly: tested over the seeds, or for one seed each over the test images; speeds by a tenth at least, too.
    Published numbers stand apart: other people's training, images and metric definitions.

    Methods that were run at several rates (gq-8b, gq-16b, gq-32b) are compared over all of them on the board "rate":
    Bjøntegaard deltas against one of them, the anchor. --board all shows it where there are any.

    \b
    Examples:
      vqbench leaderboard
      vqbench leaderboard results/published --board quality --format markdown --out LEADERBOARD.md
      vqbench leaderboard -q 'gq*' -b unet --sort ssim
      vqbench leaderboard -q 'gq*' -q tokenbridge --with-published
      vqbench leaderboard --board rate --anchor vqgan --plot rate.png
      vqbench leaderboard --json | jq '.rows[] | {quantizer, rank, psnr: .metrics.psnr.value}'
    """
    if as_json and form not in (None, "json"):
        raise UsageError("--json and --format contradict each other", got=f"--format {form}")
    if form is None:
        usual: Format = "json" if as_json else "table"
        if out and not as_json:
            usual = format_of(out, FORMAT_BY_SUFFIX, hint="Or add --format.")
        form = usual
    rate_asked = board == "rate" or plot is not None or anchor is not None or rate_axis != "nominal"
    _check_rate_options(board, rate_asked, plot, sort)
    published = _published() if with_published else []
    records, broken = _read(results, may_be_empty=with_published)
    for damaged in broken:
        warn(damaged.reason)

    from vqbench.leaderboard import BOARDS as ALL
    from vqbench.leaderboard import (
        RecordFilter,
        make_leaderboard,
        make_rate_board,
        render,
        select_groups,
        select_published,
        select_records,
    )
    from vqbench.results import StoredValues

    only = RecordFilter(quantizers=quantizers, backbones=backbones, datasets=datasets, seeds=seeds, suites=suites)
    chosen = [name for name in ALL if board in (name, "all")]
    kept = select_records(records, only, published=published)
    made = make_leaderboard(
        kept,
        broken,
        boards=chosen if records else (),
        sort=sort,
        published=select_published(published, only),
        values=StoredValues(results, warn=warn),
    )
    if board in ("rate", "all"):
        made = replace(made, rate=make_rate_board(kept, axis=rate_axis, anchor=anchor))
    if rate_asked and made.rate is None:
        raise UsageError(
            "No method was run at several rates",
            expected="several of one protocol, backbone and quantizer whose labels differ in the rate only: gq-8b, gq-16b",
            hint="docs/cli.md says which labels belong together.",
        )
    if groups:
        made = select_groups(made, groups)
    if plot:
        _plot(made, plot)
    width = WIDTH_OF_A_FILE if out else shutil.get_terminal_size((WIDTH_OF_A_FILE, 24)).columns
    text = render(made, form, width=width)
    if out is None:
        click.echo(text, nl=False)
    else:
        write_file(out, text)


def _check_rate_options(board: str, rate_asked: bool, plot: Path | None, sort: str | None) -> None:
    if rate_asked and board not in ("rate", "all"):
        raise UsageError("--plot, --anchor and --rate-axis are of the rate board", got=f"--board {board}")
    if board == "rate" and sort is not None:
        raise UsageError("The rate board is sorted by its own deltas", got=f"--sort {sort}")
    if plot is not None and plot.suffix.lower() not in (".png", ".svg"):
        raise UsageError(f"--plot {plot} does not say what to draw", expected="a name that ends in .png or .svg")


def _plot(made: Leaderboard, path: Path) -> None:
    if made.rate is None:
        raise UsageError("--group leaves nothing to plot", expected="a group of the rate board")
    from vqbench.leaderboard.plot import plot_rate_board

    try:
        plot_rate_board(made.rate, path)
    except ResultsError as error:
        raise ResultsError(error.what, got=error.got, hint="Choose another --plot FILE.") from error


def _published() -> list[Publication]:
    """What the plugins announce; a file that cannot be read costs only itself, with a warning."""
    from vqbench.catalog import Catalog, CatalogOptions
    from vqbench.cli.output import echo_notes
    from vqbench.leaderboard import read_publication

    catalog = Catalog.load(CatalogOptions.from_environment())
    echo_notes(catalog)
    publications = []
    for entry in catalog.publications():
        try:
            publications.append(read_publication(entry.spec.path, id=entry.id, summary=entry.spec.summary))
        except PluginError as error:
            if catalog.options.strict:
                raise
            warn(str(error))
    return publications


def _read(results: Path, *, may_be_empty: bool) -> tuple[list[CellRecord], list[BrokenRecord]]:
    """The folder's records and its damaged ones.

    Raises:
        ResultsError: it does not exist, cannot be read or holds neither; the default folder ``may_be_empty``.
    """
    from vqbench.results import read_records

    if may_be_empty and results == DEFAULT_RESULTS and not results.exists():
        return [], []
    records, broken = read_records(results)
    gc.freeze()  # they all stay: looking for garbage among thousands of records would take most of the time
    if not records and not broken and not may_be_empty:
        raise ResultsError(
            f"There are no records in {results}", hint="`vqbench run` makes some; or name another folder."
        )
    return records, broken
