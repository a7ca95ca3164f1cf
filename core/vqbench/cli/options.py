"""Options that several commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from vqbench.catalog import CatalogOptions

__all__ = ["catalog_options", "json_option", "outs_option"]

Command = TypeVar("Command", bound=Callable[..., Any])


def catalog_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--plugin`` and ``--no-plugin``; the command gets ``catalog_options``, a :class:`CatalogOptions`."""

    @click.option(
        "--plugin",
        "plugins",
        multiple=True,
        metavar="MODULE|FILE.py",
        help="Load a plugin that is not installed. Repeatable.",
    )
    @click.option(
        "--no-plugin",
        "disabled",
        multiple=True,
        metavar="NAME",
        help="Do not load the plugin of this entry point or distribution. Repeatable.",
    )
    @functools.wraps(command)
    def wrapper(*args: Any, plugins: tuple[str, ...], disabled: tuple[str, ...], **kwargs: Any) -> Any:
        options = CatalogOptions.from_environment(plugins=plugins, disabled=disabled)
        return command(*args, catalog_options=options, **kwargs)

    return wrapper


def json_option(command: Command) -> Command:
    """Add ``--json``; the command gets ``as_json``."""
    option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
    return option(command)


def outs_option(suffixes: str) -> Callable[[Command], Command]:
    """Add ``--out FILE``, repeatable; the command gets ``outs``, paths whose suffix says the format.

    Args:
        suffixes: which there are, in words.
    """
    return click.option(
        "--out",
        "outs",
        type=click.Path(path_type=Path, dir_okay=False),
        multiple=True,
        metavar="FILE",
        help=f"Write a file too: {suffixes}. Repeatable.",
    )
