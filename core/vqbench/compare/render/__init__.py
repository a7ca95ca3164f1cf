"""A report in the formats that people and programs read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

from vqbench.compare.render.json import render_json
from vqbench.compare.render.junit import render_junit
from vqbench.compare.render.markdown import render_markdown
from vqbench.compare.render.table import render_table
from vqbench.compare.report import Report

__all__ = ["FORMATS", "Format", "render"]

Format: TypeAlias = Literal["table", "markdown", "json", "junit"]
RENDERERS: dict[Format, Callable[[Report], str]] = {
    "table": render_table,
    "markdown": render_markdown,
    "json": render_json,
    "junit": render_junit,
}
FORMATS: tuple[Format, ...] = tuple(RENDERERS)


def render(report: Report, form: Format) -> str:
    """The report in one of :data:`FORMATS`."""
    return RENDERERS[form](report)
