"""What ``vqbench weights`` and ``vqbench data`` share: fetching with progress, and what is here."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO, TypeVar

import click

from vqbench.assets import (
    ASSETS_VARIABLE,
    Asset,
    FetchProgress,
    Located,
    downloads_folder,
    fetch,
    find,
    forget_downloads,
)
from vqbench.cli.output import echo_json, printable, table
from vqbench.errors import UnavailableError, VQBenchError

__all__ = ["asset_state", "assets_option", "fetch_assets", "fetch_options", "show_status"]

Command = TypeVar("Command", bound=Callable[..., Any])

LINES = 10
"""Lines that a download gets where no bar can be drawn."""


def assets_option(command: Command) -> Command:
    """Add ``--assets DIR``; it sets ``VQBENCH_ASSETS``, for the processes that the command starts too."""

    def use(context: click.Context, parameter: click.Parameter, folder: Path | None) -> None:
        if folder is not None:
            os.environ[ASSETS_VARIABLE] = str(folder.expanduser().absolute())

    return click.option(
        "--assets",
        type=click.Path(file_okay=False, path_type=Path),
        metavar="DIR",
        callback=use,
        expose_value=False,
        help=f"Folder of weights and datasets that comes before the cache; sets {ASSETS_VARIABLE}.",
    )(command)


def fetch_options(command: Command) -> Command:
    """Add ``--offline``, ``--packages`` and ``--assets``; the command gets ``offline`` and ``packages``."""
    packages = click.option(
        "--packages",
        type=click.Path(file_okay=False, path_type=Path),
        metavar="DIR",
        help="Take downloads and package files from here if they are there, and keep new ones here.",
    )
    offline = click.option("--offline", is_flag=True, help="Take nothing from the network.")
    return offline(packages(assets_option(command)))


def fetch_assets(assets: Sequence[Asset], *, offline: bool, packages: Path | None) -> None:
    """Fetch one after the other and say where each is; one that fails does not stop the others.

    Raises:
        VQBenchError: of one that failed; of several, one that names them, after their messages.
    """
    failures: list[tuple[Asset, VQBenchError]] = []
    for asset in assets:
        try:
            with _display(sys.stderr) as report:
                # what several assets are made of is downloaded once
                located = fetch(asset, offline=offline, packages=packages or downloads_folder(), report=report)
        except VQBenchError as error:
            failures.append((asset, error))
        else:
            note = f" ({located.form.note})" if located.form.note else ""
            click.echo(printable(f"{asset.name}: {located.path}, {_from(located)}{note}"))
    if len(failures) == 1:
        raise failures[0][1]
    if failures:
        for _, failure in failures:
            click.echo(printable(f"{failure}"), err=True)
        raise UnavailableError(
            f"{len(failures)} of {len(assets)} could not be fetched",
            got=", ".join(asset.name for asset, _ in failures),
            hint="The reasons are above.",
        )
    if packages is None:
        forget_downloads(assets)


def _from(located: Located) -> str:
    words = {"cache": "was in the cache", "explicit path": "was there", "torch hub cache": "was in torch hub's cache"}
    return words.get(located.provider, f"from {located.provider}")


def show_status(assets: Sequence[Asset], *, as_json: bool) -> None:
    """Say of each whether it is here, where, and whether it verifies."""
    states = [asset_state(asset) for asset in assets]
    if as_json:
        echo_json(states)
        return
    rows = [
        [
            state["name"],
            f"{state['bytes'] / 1e6:.0f} MB",
            "verified" if state["path"] else "damaged" if state["problem"] else "not here",
            state["provider"],
            state["path"],
            state["note"] or state["problem"] or ("" if state["path"] else f"`{state['command']}` gets it"),
        ]
        for state in states
    ]
    click.echo(table(["name", "size", "state", "found in", "path", "note"], rows, wrap="note"))


def asset_state(asset: Asset) -> dict[str, Any]:
    """Whether an asset is here, where, and whether it verifies; as JSON values."""
    located, problem = None, None
    try:
        located = find(asset)
    except VQBenchError as error:
        problem = str(error)
    form = located.form if located else asset.forms[0]
    return {
        "name": asset.name,
        "summary": asset.summary,
        "licence": asset.licence,
        "source": asset.source,
        "command": asset.command,
        "verified": located is not None,
        "path": str(located.path) if located else None,
        "provider": located.provider if located else None,
        "sha256": located.sha256 if located else None,
        "bytes": form.size,
        "note": form.note if located else "",
        "problem": problem,
    }


@contextlib.contextmanager
def _display(stream: TextIO) -> Iterator[Callable[[FetchProgress], None]]:
    """A bar on a terminal, else lines."""
    if stream.isatty() and os.environ.get("TERM") not in ("dumb", "unknown"):
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

        text = TextColumn("{task.description}", markup=False)
        console = Console(file=stream, highlight=False, markup=False)
        columns = (text, BarColumn(bar_width=24), DownloadColumn(), TimeRemainingColumn(compact=True))
        with Progress(*columns, console=console, transient=True) as bars:
            bar = bars.add_task("", total=None)
            shown = ""

            def draw(progress: FetchProgress) -> None:
                nonlocal shown
                if progress.text != shown:
                    shown = progress.text
                    console.print(printable(f"{progress.asset}: {shown}"))
                bars.update(bar, description=progress.asset, completed=progress.done, total=progress.total or None)

            yield draw
        return
    yield _Lines(stream)


class _Lines:
    """A line for each new thing that is done, and for each tenth of a download."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._text, self._tenths = stream, "", 0

    def __call__(self, progress: FetchProgress) -> None:
        tenths = progress.done * LINES // progress.total if progress.total else 0
        if progress.text == self._text and tenths <= self._tenths:
            return
        self._text, self._tenths = progress.text, tenths
        amount = f", {progress.done / 1e6:.0f} of {progress.total / 1e6:.0f} MB" if progress.total else ""
        print(printable(f"{progress.asset}: {progress.text}{amount}"), file=self._stream, flush=True)
