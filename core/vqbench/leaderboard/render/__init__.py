"""The formats a leaderboard can be had in. All of them show the same numbers."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Literal, TypeAlias, cast, get_args

if TYPE_CHECKING:
    from vqbench.leaderboard.boards import Leaderboard

__all__ = ["FORMATS", "Format", "render"]

Format: TypeAlias = Literal["table", "markdown", "csv", "json", "html"]
FORMATS: tuple[Format, ...] = get_args(Format)


def render(leaderboard: Leaderboard, form: Format, *, width: int = 120) -> str:
    """The leaderboard as text, with a newline at its end.

    Args:
        leaderboard: what to show.
        form: ``table`` for a terminal; ``csv`` and ``json`` hold full precision.
        width: of the terminal, in characters; only a table heeds it.
    """
    if form == "table":
        from vqbench.leaderboard.render.table import render_table

        return render_table(leaderboard, width=width)
    module = import_module(f"vqbench.leaderboard.render.{form}")
    return cast(str, getattr(module, f"render_{form}")(leaderboard))
