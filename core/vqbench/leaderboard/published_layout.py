"""What all formats made for reading say of published numbers, as plain text."""

from __future__ import annotations

from collections.abc import Sequence

from vqbench.leaderboard.layout import TextColumn
from vqbench.leaderboard.notation import ARROWS, NOTHING, clean, clip
from vqbench.leaderboard.published import Publication, PublishedNumber, PublishedRow, PublishedTable

__all__ = ["PUBLISHED_NOTE", "PUBLISHED_TITLE", "published_columns", "published_heading", "published_notes"]

PUBLISHED_TITLE = "Published numbers"
PUBLISHED_NOTE = (
    "For reference: measured by others, on other images and by other definitions, as each table states. Nothing is ranked here, "
    "and nothing above is ranked against it. Status: verified was read where the source says; secondary is quoted by others and "
    "was not seen at its origin."
)
LONGEST_NAME = 60


def published_heading(table: PublishedTable) -> str:
    """The table's title and its protocol in full."""
    return f"{clean(table.title)} · {clean(table.protocol)}"


def published_columns(table: PublishedTable) -> list[TextColumn]:
    """The table as columns of text: method, rate, numbers, then protocol, source and status."""
    rows = table.rows
    columns = [_text("method", [row.label for row in rows], essential=True)]
    if any(row.backbone for row in rows):
        columns.append(_text("backbone", [row.backbone for row in rows]))
    if any(row.bits_per_pixel is not None for row in rows):
        rates = tuple(NOTHING if row.bits_per_pixel is None else f"{row.bits_per_pixel:.4g}" for row in rows)
        columns.append(TextColumn(title="bits/pixel", cells=rates, essential=True))
    names = dict.fromkeys(name for row in rows for name in row.numbers)
    columns += [_numbers(name, rows, essential=index == 0) for index, name in enumerate(names)]
    columns += [
        _text("protocol", [table.protocol_key] * len(rows)),
        _text("source", [row.source_key for row in rows], essential=True),
        _text("status", [row.source.status for row in rows], essential=True),
    ]
    if any(row.codebook for row in rows):
        columns.append(_text("codebook", [row.codebook for row in rows]))
    return columns


def published_notes(publication: Publication) -> list[list[str]]:
    """For each table its definitions, sources and remarks; what an earlier table of the publication said is not repeated."""
    said: set[str] = set()
    notes = []
    for table in publication.tables:
        lines = dict.fromkeys([*_definitions(table), *_sources(table), *_remarks(table)])
        notes.append([line for line in lines if line not in said])
        said |= set(lines)
    return notes


def _text(title: str, cells: Sequence[str | None], *, essential: bool = False) -> TextColumn:
    shown = tuple(NOTHING if cell is None else clip(clean(cell), LONGEST_NAME) for cell in cells)
    return TextColumn(title=title, cells=shown, essential=essential, numeric=False)


def _numbers(name: str, rows: Sequence[PublishedRow], *, essential: bool) -> TextColumn:
    numbers = [row.numbers.get(name) for row in rows]
    shape = next(number.metric for number in numbers if number is not None)
    unit = f" [{clean(shape.unit)}]" if shape.unit else ""
    return TextColumn(
        title=f"{clean(name)}{unit} {ARROWS[shape.better]}".rstrip(),
        cells=tuple(NOTHING if number is None else f"{number.value:.10g}" for number in numbers),
        essential=essential,
        details=tuple("" if number is None else _detail(number) for number in numbers),
    )


def _detail(number: PublishedNumber) -> str:
    deviation = "" if number.deviation is None else f"; standard deviation over images {number.deviation!r}"
    return clean(number.metric.definition + deviation)


def _definitions(table: PublishedTable) -> list[str]:
    """Each metric's definition; where rows of the table were measured by several, whose is whose."""
    owners: dict[str, dict[str, list[str]]] = {}
    for row in table.rows:
        for name, number in row.numbers.items():
            of_name = owners.setdefault(name, {}).setdefault(number.metric.definition, [])
            if row.source_key not in of_name:
                of_name.append(row.source_key)
    lines = []
    for name, definitions in owners.items():
        for definition, sources in definitions.items():
            whose = f" ({', '.join(sources)})" if len(definitions) > 1 else ""
            lines.append(clean(f"{name}{whose}: {definition}"))
    return lines


def _sources(table: PublishedTable) -> list[str]:
    return [
        clean(f"source {row.source_key}: {source.name}" + (f"; {source.paper}" if source.paper else ""))
        + f" ({source.kind}, {source.status})"
        for row in table.rows
        for source in [row.source]
    ]


def _remarks(table: PublishedTable) -> list[str]:
    return [clean(f"{row.label}: {row.note}") for row in table.rows if row.note]
