"""What commands print: text that cannot drive a terminal, tables, JSON and notes."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from vqbench.errors import ResultsError, UsageError

if TYPE_CHECKING:
    from vqbench.catalog import Catalog

__all__ = ["echo_json", "echo_notes", "format_of", "printable", "table", "warn", "write_file"]

Form = TypeVar("Form")


def printable(text: object, *, multiline: bool = False) -> str:
    """Text with control and invisible characters escaped, since it may come from a stranger's plugin or record.

    Line breaks become spaces unless ``multiline``; then tabs stay, too.
    """
    text = str(text)
    if not multiline:
        text = " ".join(text.split())
    allowed = "\n\t" if multiline else ""
    return "".join(c if c.isprintable() or c in allowed else ascii(c)[1:-1] for c in text)


def table(headers: Sequence[str], rows: Sequence[Sequence[object]], *, wrap: str | None = None) -> str:
    """A table of text; on a terminal the column ``wrap`` is wrapped so that lines fit."""
    from tabulate import tabulate

    cells = [["" if v is None else printable(v) for v in row] for row in rows]
    widths: list[int | None] = [None] * len(headers)
    if wrap is not None and sys.stdout.isatty():
        index = list(headers).index(wrap)
        others = [max(map(len, column)) for column in zip(headers, *cells, strict=True)]
        rest = sum(others) - others[index] + 2 * (len(headers) - 1)
        widths[index] = max(shutil.get_terminal_size().columns - rest, 24)
    return tabulate(cells, headers=headers, tablefmt="simple", disable_numparse=True, maxcolwidths=widths)


def echo_json(value: object) -> None:
    """Print strict JSON to standard output. It is ASCII, which no terminal can take for a control sequence."""
    click.echo(json.dumps(value, indent=2, allow_nan=False))


def echo_notes(catalog: Catalog) -> None:
    """Say on standard error what went wrong with plugins, in a line each."""
    for note in catalog.notes:
        click.echo(printable(f"note: {note}"), err=True)
    if failures := catalog.failures:
        plugins = "1 plugin" if len(failures) == 1 else f"{len(failures)} plugins"
        click.echo(f"note: {plugins} failed: see `vqbench plugins`", err=True)


def warn(message: str) -> None:
    """A warning for people, on standard error."""
    click.echo(printable(f"vqbench: warning: {message}"), err=True)


def format_of(out: Path, by_suffix: Mapping[str, Form], *, hint: str | None = None) -> Form:
    """The format that the name of a file asks for.

    Raises:
        UsageError: it ends in none of these suffixes.
    """
    try:
        return by_suffix[out.suffix.lower()]
    except KeyError:
        raise UsageError(
            f"The name {out} does not say which format to write",
            expected="a name that ends in " + ", ".join(by_suffix),
            hint=hint,
        ) from None


def write_file(out: Path, text: str) -> None:
    """Write what ``--out FILE`` asked for, atomically.

    Raises:
        ResultsError: it cannot be written.
    """
    from vqbench.results.store import write_atomically

    try:
        write_atomically(out, text.encode())
    except ResultsError as error:
        raise ResultsError(error.what, got=error.got, hint="Choose another --out FILE.") from error
