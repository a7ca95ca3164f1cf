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
from vqbench.leaderboard.rows import (
    BESIDE_SPEED,
    BOARDS,
    BoardName,
    Row,
    RowMetric,
    make_rows,
    row_keys,
    unfinished_cells,
)
from vqbench.leaderboard.speed import pareto_front, speed_views
from vqbench.results import BrokenRecord, CellRecord, EnvironmentRecord, StoredValues
from vqbench.results.speeds import SPEED_FACTOR

__all__ = ["PRIMARY", "Board", "Column", "Group", "Leaderboard", "make_leaderboard"]

PRIMARY: dict[BoardName, str] = {
    "quality": "psnr",
    "usage": "code_efficiency",
    "throughput": "encode_images_per_second",
}
"""What a board is ranked by where nothing else is asked; if nobody measured it, its first metric with a direction."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """A metric in one definition. ``title`` is its name, numbered where a group holds several definitions of it.

    ``caution`` says whether some of its numbers carry one.
    """

    name: str
    title: str
    unit: str
    better: str | None
    protocol: str
    version: int
    caution: bool = False

    def of(self, row: Row) -> RowMetric | None:
        """The row's number in this definition, or None."""
        metric = row.metrics.get(self.name)
        if metric is None or (metric.value is None and self.title == self.name):
            return metric
        return metric if metric.definition == (self.unit, self.better, self.protocol, self.version) else None


@dataclass(frozen=True, kw_only=True)
class Group:
    """Rows that may be compared: of equal protocol, dataset, image size and bits; for throughput, environment and batch size too.

    ``pareto`` says of each row of a throughput board whether it is on the front of speed and quality, None where it has not both.
    """

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
    pareto: tuple[bool | None, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """What ``--group`` may call it."""
        bits = "continuous" if self.rate.bits is None else f"{self.rate.bits:.10g}"
        fingerprint = (self.environment.fingerprint,) if self.environment else ()
        batch = (f"batch-{self.batch_size}",) if self.batch_size else ()
        return self.id, self.protocol, self.dataset, bits, *fingerprint, *batch

    @property
    def batch_size(self) -> int | None:
        """Images per timed call; of throughput only, where it is known."""
        return self.environment.batch_size if self.environment else None


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
    rows = {
        name: make_rows(speed_views(records), name) if name == "throughput" else make_rows(records, name, keys=keys)
        for name in boards
    }
    made = tuple(Board(name=name, groups=_groups(of_board, name, sort, values)) for name, of_board in rows.items())
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
        environment = row.environment if board == "throughput" else None
        where = environment and (environment.fingerprint, environment.batch_size)
        key = (row.dataset.id, row.revision, row.image_size, row.protocol, row.rate, where)
        groups.setdefault(key, []).append(row)
    made = [_group(members, board, sort, values) for members in groups.values()]
    return tuple(sorted(made, key=_order))


def _order(group: Group) -> tuple[object, ...]:
    """Groups by dataset, image size and bits, continuous ones last; then by how they were timed, small batches first."""
    bits = float("inf") if group.rate.bits is None else group.rate.bits
    where = group.environment
    how = where and (where.fingerprint, where.batch_size or 0)
    return group.dataset, group.image_size, bits, group.protocol, how or ("", 0), group.id


def _group(rows: Sequence[Row], board: BoardName, sort: str | None, values: StoredValues | None) -> Group:
    first = rows[0]
    environment = first.environment if board == "throughput" else None
    columns = _columns(rows)
    ranked_by = _ranked_by(columns, board, sort)
    if ranked_by:
        columns.remove(ranked_by)
        columns.insert(0, ranked_by)
    settled = board != "throughput" or environment is not None  # speeds of unknown machines have no order
    factor = SPEED_FACTOR if board == "throughput" else 1.0
    identity = [board, first.dataset.id, first.revision, first.image_size, first.protocol, first.rate.token]
    identity += [environment.fingerprint] if environment else []
    identity += [environment.batch_size] if environment and environment.batch_size else []
    ranked = rank_rows(rows, ranked_by, settled=settled, factor=factor, values=values)
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
        rows=tuple(ranked),
        pareto=_pareto(ranked, columns, ranked_by) if board == "throughput" and settled else (),
    )


def _pareto(rows: Sequence[RankedRow], columns: Sequence[Column], speed: Column | None) -> tuple[bool | None, ...]:
    """The front of what the rows are ranked by and the quality beside it; empty if there is none."""
    quality = next((column for column in columns if column.name == BESIDE_SPEED), None)
    if quality is None or speed is None or not (quality.better and speed.better):
        return ()
    points: list[tuple[float, float] | None] = []
    for ranked in rows:
        found = [_more_is_better(column, ranked.row) for column in (speed, quality)]
        points.append(None if found[0] is None or found[1] is None else (found[0], found[1]))
    return tuple(pareto_front(points))


def _more_is_better(column: Column, row: Row) -> float | None:
    number = column.of(row)
    if number is None or number.value is None:
        return None
    return number.value if column.better == "higher" else -number.value


def _columns(rows: Sequence[Row]) -> list[Column]:
    """One column for each definition of each metric, in the order of the records, those with a caution last."""
    definitions: dict[str, Counter[tuple[object, ...]]] = {}
    shapes: dict[tuple[str, tuple[object, ...]], RowMetric] = {}
    cautioned: set[tuple[str, tuple[object, ...]]] = set()
    for row in rows:
        for name, metric in row.metrics.items():
            counter = definitions.setdefault(name, Counter())
            counter[metric.definition] += metric.value is not None  # a null defines nothing unless all are null
            shapes[name, metric.definition] = metric
            if metric.caution:
                cautioned.add((name, metric.definition))
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
                    caution=(name, definition) in cautioned,
                )
            )
    return sorted(columns, key=lambda column: column.caution)


def _ranked_by(columns: Sequence[Column], board: BoardName, sort: str | None) -> Column | None:
    if board == "throughput":
        columns = [column for column in columns if column.name != BESIDE_SPEED]
    by_title = {column.title: column for column in columns}
    if sort in by_title:
        return by_title[sort]
    return by_title.get(PRIMARY[board]) or next((column for column in columns if column.better), None)
