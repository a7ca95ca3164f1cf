"""Boards: rows in groups that may be compared, each ranked by one metric."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from vqbench.canonical import content_id
from vqbench.errors import UsageError, closest
from vqbench.leaderboard.notation import clean
from vqbench.leaderboard.published import Publication
from vqbench.leaderboard.ranking import RankedRow, rank_rows
from vqbench.leaderboard.rate import Rate
from vqbench.leaderboard.rate_board import RateBoard
from vqbench.leaderboard.rows import BOARDS, BoardName, Row, RowMetric, make_rows, row_keys, unfinished_cells
from vqbench.results import BrokenRecord, CellRecord, EnvironmentRecord, StoredValues

__all__ = ["PRIMARY", "Board", "Column", "Group", "Leaderboard", "make_leaderboard"]

PRIMARY: dict[BoardName, str] = {
    "quality": "psnr",
    "usage": "code_efficiency",
    "throughput": "encode_images_per_second",
}
"""What a board is ranked by where nothing else is asked; if nobody measured it, its first metric with a direction."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """A metric in one definition. ``title`` is its name, numbered where a group holds several definitions of it."""

    name: str
    title: str
    unit: str
    better: str | None
    protocol: str
    version: int

    def of(self, row: Row) -> RowMetric | None:
        """The row's number in this definition, or None."""
        metric = row.metrics.get(self.name)
        if metric is None or (metric.value is None and self.title == self.name):
            return metric
        return metric if metric.definition == (self.unit, self.better, self.protocol, self.version) else None


@dataclass(frozen=True, kw_only=True)
class Group:
    """Rows that may be compared: of equal protocol, dataset, image size and bits; for throughput, environment too."""

    id: str
    board: BoardName
    dataset: str
    image_size: int
    rate: Rate
    bits_per_pixel: float | None
    images_seen: str
    protocol: str
    environment: EnvironmentRecord | None
    columns: tuple[Column, ...]
    ranked_by: Column | None
    rows: tuple[RankedRow, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """What ``--group`` may call it."""
        bits = "continuous" if self.rate.bits is None else f"{self.rate.bits:.10g}"
        fingerprint = (self.environment.fingerprint,) if self.environment else ()
        return self.id, self.protocol, self.dataset, bits, *fingerprint


@dataclass(frozen=True, kw_only=True)
class Board:
    """A board's groups."""

    name: BoardName
    groups: tuple[Group, ...]


@dataclass(frozen=True, kw_only=True)
class Leaderboard:
    """Boards, and apart from them what has no numbers: cells by their newest record, and damaged records.

    ``published`` are others' numbers, shown apart and ranked with nothing. ``rate`` compares methods over several rates.
    """

    boards: tuple[Board, ...]
    unfinished: tuple[CellRecord, ...]
    broken: tuple[BrokenRecord, ...]
    published: tuple[Publication, ...] = ()
    rate: RateBoard | None = None


def make_leaderboard(
    records: Iterable[CellRecord],
    broken: Iterable[BrokenRecord] = (),
    *,
    boards: Sequence[BoardName] = BOARDS,
    sort: str | None = None,
    published: Iterable[Publication] = (),
    values: StoredValues | None = None,
) -> Leaderboard:
    """Rank records.

    Args:
        records: of any number of suites, in any order.
        broken: files that should be records, to be listed.
        boards: which boards, in order.
        sort: the metric to rank by on the boards that have it.
        published: others' numbers, to be shown apart.
        values: the values of each test image behind the records' means, which settle more differences than the means alone.

    Raises:
        UsageError: no board has the metric ``sort``.
    """
    records = list(records)
    keys = row_keys(records)
    made = tuple(
        Board(name=name, groups=_groups(make_rows(records, name, keys=keys), name, sort, values)) for name in boards
    )
    if sort is not None:
        known = dict.fromkeys(c.name for board in made for group in board.groups for c in group.columns)
        if known and sort not in known:
            raise UsageError(
                f"Nothing can be ranked by {sort!r}", expected="one of " + ", ".join(known), hint=closest(sort, known)
            )
    unfinished = sorted(unfinished_cells(records), key=lambda r: (r.dataset.label, r.quantizer.label, r.seed))
    return Leaderboard(boards=made, unfinished=tuple(unfinished), broken=tuple(broken), published=tuple(published))


def _groups(rows: Iterable[Row], board: BoardName, sort: str | None, values: StoredValues | None) -> tuple[Group, ...]:
    groups: dict[Hashable, list[Row]] = {}
    for row in rows:
        if not row.metrics:
            continue  # it has nothing for this board
        environment = row.environment.fingerprint if board == "throughput" and row.environment else None
        key = (row.dataset.id, row.revision, row.image_size, row.protocol, row.rate, environment)
        groups.setdefault(key, []).append(row)
    made = [_group(members, board, sort, values) for members in groups.values()]
    return tuple(sorted(made, key=_order))


def _order(group: Group) -> tuple[object, ...]:
    """Groups by dataset, image size and bits; continuous ones last."""
    bits = float("inf") if group.rate.bits is None else group.rate.bits
    return group.dataset, group.image_size, bits, group.protocol, group.id


def _group(rows: Sequence[Row], board: BoardName, sort: str | None, values: StoredValues | None) -> Group:
    first = rows[0]
    environment = first.environment if board == "throughput" else None
    columns = _columns(rows)
    ranked_by = _ranked_by(columns, board, sort)
    if ranked_by:
        columns.remove(ranked_by)
        columns.insert(0, ranked_by)
    settled = board != "throughput" or environment is not None  # speeds of unknown machines have no order
    identity = [board, first.dataset.id, first.revision, first.image_size, first.protocol, first.rate.token]
    identity += [environment.fingerprint] if environment else []
    return Group(
        id=content_id(identity, length=8),
        board=board,
        dataset=first.dataset.label,
        image_size=first.image_size,
        rate=first.rate,
        bits_per_pixel=first.bits_per_pixel,
        images_seen=clean(first.protocol_details.get("images_seen", "?")),
        protocol=first.protocol,
        environment=environment,
        columns=tuple(columns),
        ranked_by=ranked_by,
        rows=tuple(rank_rows(rows, ranked_by, settled=settled, values=values)),
    )


def _columns(rows: Sequence[Row]) -> list[Column]:
    """One column for each definition of each metric, in the order of the records."""
    definitions: dict[str, Counter[tuple[object, ...]]] = {}
    shapes: dict[tuple[str, tuple[object, ...]], RowMetric] = {}
    for row in rows:
        for name, metric in row.metrics.items():
            counter = definitions.setdefault(name, Counter())
            counter[metric.definition] += metric.value is not None  # a null defines nothing unless all are null
            shapes[name, metric.definition] = metric
    columns = []
    for name, counter in definitions.items():
        kept = [d for d in counter if counter[d]] or list(counter)[:1]
        kept.sort(key=lambda d: (-shapes[name, d].version, -counter[d], shapes[name, d].protocol))
        for number, definition in enumerate(kept, 1):
            shape = shapes[name, definition]
            columns.append(
                Column(
                    name=name,
                    title=name if number == 1 else f"{name} (definition {number})",
                    unit=shape.unit,
                    better=shape.better,
                    protocol=shape.protocol,
                    version=shape.version,
                )
            )
    return columns


def _ranked_by(columns: Sequence[Column], board: BoardName, sort: str | None) -> Column | None:
    by_title = {column.title: column for column in columns}
    if sort in by_title:
        return by_title[sort]
    return by_title.get(PRIMARY[board]) or next((column for column in columns if column.better), None)
