"""Published numbers: files (TOML) that say what others measured, how, and where it is written.

They stand beside a leaderboard as reference. Nothing is ranked by them: they come from other training, other images and other
definitions of the metrics, which each of them carries.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from vqbench.errors import PluginError
from vqbench.toml_files import read_toml

__all__ = [
    "Publication",
    "PublishedMetric",
    "PublishedNumber",
    "PublishedProtocol",
    "PublishedRow",
    "PublishedSource",
    "PublishedTable",
    "Status",
    "read_publication",
]

T = TypeVar("T")
Key = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
Line = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^\S(?:[^\n\r]*\S)?$")]
Status: TypeAlias = Literal["verified", "secondary"]
"""``verified``: read where the source says. ``secondary``: quoted by somebody else, never seen at its origin."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class PublishedSource(_Strict):
    """Where numbers were read: ``name`` with its revision, and of which kind it is.

    ``repository`` (the authors' own, e.g. a README), ``logs`` (the data behind a figure or table), ``paper``, ``third party``
    (their own measurement of others' models) or ``second hand`` (quoted without having been measured).
    """

    name: Line
    kind: Literal["repository", "logs", "paper", "third party", "second hand"]
    paper: Line | None = None

    @property
    def status(self) -> Status:
        """Whether the numbers were read at their origin."""
        return "secondary" if self.kind == "second hand" else "verified"


class PublishedProtocol(_Strict):
    """On which images: the set, how many, at which side in pixels (None: their own size) and cut how."""

    dataset: Key
    images: Line
    count: int | None = Field(None, ge=1)
    resolution: int | None = Field(None, ge=1, le=65_536)
    crop: Line

    def __str__(self) -> str:
        number = "" if self.count is None else f", {self.count} images"
        size = "original size" if self.resolution is None else f"{self.resolution}×{self.resolution}"
        return f"{self.images}{number}, {size}, {self.crop}"


class PublishedMetric(_Strict):
    """A metric in one exact definition."""

    name: Key
    unit: str = Field("", max_length=40)
    better: Literal["higher", "lower"] | None = None
    definition: Line


class _Row(_Strict):
    method: Key
    variant: Line | None = None
    backbone: Line | None = None
    tokens: int | None = Field(None, ge=1)
    codebook_size: int | None = Field(None, ge=2, le=1 << 256)
    codebook: Line | None = None
    bits_per_pixel: float | None = Field(None, gt=0)
    source: Key | None = None
    values: dict[Key, float] = Field(min_length=1, max_length=50)
    deviations: dict[Key, float] = Field(default_factory=dict, max_length=50)
    note: Line | None = None

    @model_validator(mode="after")
    def _deviations_belong_to_values(self) -> _Row:
        if lost := self.deviations.keys() - self.values.keys():
            raise ValueError(f"deviations of {', '.join(sorted(lost))} without a value")
        if self.tokens is not None and self.codebook_size is None:
            raise ValueError("tokens without codebook_size")
        return self


class _Table(_Strict):
    title: Line
    protocol: Key
    source: Key | None = None
    rows: list[_Row] = Field(min_length=1, max_length=1000)


class _File(_Strict):
    schema_version: Literal[1] = Field(alias="schema")
    sources: dict[Key, PublishedSource] = Field(min_length=1, max_length=200)
    protocols: dict[Key, PublishedProtocol] = Field(min_length=1, max_length=200)
    metrics: dict[Key, PublishedMetric] = Field(min_length=1, max_length=200)
    tables: list[_Table] = Field(min_length=1, max_length=200)


@dataclass(frozen=True, kw_only=True)
class PublishedNumber:
    """A number as published; ``deviation`` is the standard deviation over the images where that was published too."""

    value: float
    deviation: float | None
    metric: PublishedMetric


@dataclass(frozen=True, kw_only=True)
class PublishedRow:
    """What one source says of one method.

    ``method`` is vqbench's name of the quantizer where it has it, else the model's own. ``bits_per_image`` and ``bits_per_pixel``
    are nominal, and None where the source does not say enough, or for a continuous latent. ``numbers`` are by name of the metric.
    """

    method: str
    variant: str | None
    backbone: str | None
    codebook: str | None
    bits_per_image: float | None
    bits_per_pixel: float | None
    source_key: str
    source: PublishedSource
    numbers: Mapping[str, PublishedNumber]
    note: str | None

    @property
    def label(self) -> str:
        """``method (variant)``."""
        return f"{self.method} ({self.variant})" if self.variant else self.method


@dataclass(frozen=True, kw_only=True)
class PublishedTable:
    """Rows of one protocol, in the order of the file."""

    title: str
    protocol_key: str
    protocol: PublishedProtocol
    rows: tuple[PublishedRow, ...]


@dataclass(frozen=True, kw_only=True)
class Publication:
    """A file of published numbers; ``id`` is ``plugin/name``."""

    id: str
    summary: str
    tables: tuple[PublishedTable, ...] = field(repr=False)


def read_publication(path: Path, *, id: str, summary: str) -> Publication:
    """Read and validate a file of published numbers, at most 1 MiB.

    Raises:
        PluginError: it cannot be read, is too large, is not TOML, or not such a file; the message names the first wrong key.
    """
    document = read_toml(path, f"The file of the published numbers {id},", PluginError)
    what = f"the published numbers {id} ({path})"
    try:
        content = _File.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"]).lstrip(".")
        message = first["msg"].removeprefix("Value error, ")
        raise PluginError(f"{what}: {key or 'the file'!r} is malformed", got=message) from None
    return Publication(id=id, summary=summary, tables=tuple(_tables(content, what)))


def _tables(file: _File, what: str) -> Iterator[PublishedTable]:
    for index, table in enumerate(file.tables):
        where = f"{what}: tables[{index}]"
        protocol = _look_up(file.protocols, table.protocol, f"{where}.protocol")
        rows = tuple(
            _row(file, table, row, protocol, f"{where}.rows[{number}]") for number, row in enumerate(table.rows)
        )
        yield PublishedTable(title=table.title, protocol_key=table.protocol, protocol=protocol, rows=rows)


def _row(file: _File, table: _Table, row: _Row, protocol: PublishedProtocol, where: str) -> PublishedRow:
    source_key = row.source or table.source
    if source_key is None:
        raise PluginError(f"{where} has no source", hint="Give it one, or its table.")
    numbers: dict[str, PublishedNumber] = {}
    for key, value in row.values.items():
        metric = _look_up(file.metrics, key, f"{where}.values")
        if metric.name in numbers:
            raise PluginError(f"{where} has two values of {metric.name}")
        numbers[metric.name] = PublishedNumber(value=value, deviation=row.deviations.get(key), metric=metric)
    bits, per_pixel = _rate(row, protocol, where)
    return PublishedRow(
        method=row.method,
        variant=row.variant,
        backbone=row.backbone,
        codebook=row.codebook or _codebook(row),
        bits_per_image=bits,
        bits_per_pixel=per_pixel,
        source_key=source_key,
        source=_look_up(file.sources, source_key, f"{where}.source"),
        numbers=numbers,
        note=row.note,
    )


def _rate(row: _Row, protocol: PublishedProtocol, where: str) -> tuple[float | None, float | None]:
    """Bits per image and per pixel: from tokens and codebook size, or as stated; both must agree."""
    pixels = None if protocol.resolution is None else protocol.resolution**2
    stated = row.bits_per_pixel
    if row.tokens is None or row.codebook_size is None:
        return (None if stated is None or pixels is None else stated * pixels), stated
    bits = row.tokens * math.log2(row.codebook_size)
    computed = None if pixels is None else bits / pixels
    if stated is not None and computed is not None and not math.isclose(stated, computed, rel_tol=0.02):
        raise PluginError(
            f"{where}: bits_per_pixel and tokens · log2(codebook_size) differ",
            got=f"{stated:g} and {computed:g}",
            hint="Leave one of them out, or mend it.",
        )
    return bits, computed if stated is None else stated


def _codebook(row: _Row) -> str | None:
    size = row.codebook_size
    if size is None:
        return None
    text = f"2^{size.bit_length() - 1}" if size > 4096 and size & (size - 1) == 0 else str(size)
    return f"K = {text}" if row.tokens is None else f"{row.tokens} tokens, K = {text}"


def _look_up(known: Mapping[str, T], key: str, where: str) -> T:
    try:
        return known[key]
    except KeyError:
        raise PluginError(f"{where} names {key!r}, which is not defined", expected=", ".join(known)) from None
