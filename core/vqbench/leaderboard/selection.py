"""Which records a leaderboard is made of, and which of its groups are shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from vqbench.errors import UsageError, closest
from vqbench.leaderboard.boards import Group, Leaderboard
from vqbench.leaderboard.published import Publication, PublishedRow, PublishedTable
from vqbench.leaderboard.rate_board import RateGroup
from vqbench.results import CellRecord, ComponentRecord

__all__ = ["RecordFilter", "select_groups", "select_published", "select_records"]


@dataclass(frozen=True, kw_only=True)
class RecordFilter:
    """Globs on labels, short names or full ids; on seeds and suites. Empty means all.

    Published numbers have quantizers, backbones and datasets to be matched, and neither seeds nor suites.
    """

    quantizers: tuple[str, ...] = ()
    backbones: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    seeds: tuple[str, ...] = ()
    suites: tuple[str, ...] = ()


def select_records(
    records: Iterable[CellRecord], only: RecordFilter, *, published: Iterable[Publication] = ()
) -> list[CellRecord]:
    """The records that all filters let through.

    Args:
        records: to choose from.
        only: the filters.
        published: numbers that are shown beside the records: a pattern may match those instead.

    Raises:
        UsageError: a pattern matches nothing, or no record matches all of the filters.
    """
    kept = everything = list(records)
    published = list(published)
    beside = {flag: _published_names(published, flag) for flag in ("-q", "-b", "-d")}
    filters: tuple[tuple[Sequence[str], str, Callable[[CellRecord], tuple[str, ...]]], ...] = (
        (only.quantizers, "-q", lambda record: _names(record.quantizer)),
        (only.backbones, "-b", lambda record: _names(record.backbone)),
        (only.datasets, "-d", lambda record: _names(record.dataset)),
        (only.seeds, "-s", lambda record: (str(record.seed),)),
        (only.suites, "--suite", lambda record: (record.suite,)),
    )
    for patterns, flag, names in filters:
        if not patterns:
            continue
        matched = {name for record in everything for name in names(record)}
        for pattern in patterns:
            if not any(fnmatchcase(name, pattern) for name in matched | beside.get(flag, set())):
                known = sorted({names(record)[0] for record in everything} | beside.get(flag, set()))
                raise UsageError(
                    f"{flag} {pattern} matches no record",
                    expected="one of " + ", ".join(known),
                    hint=closest(pattern, known),
                )
        good = {name for name in matched if any(fnmatchcase(name, pattern) for pattern in patterns)}
        kept = [record for record in kept if not good.isdisjoint(names(record))]
    if everything and not kept and not select_published(published, only):
        raise UsageError("No record matches all of these filters", hint="Each of them matches some: loosen one.")
    return kept


def select_published(publications: Iterable[Publication], only: RecordFilter) -> tuple[Publication, ...]:
    """The published numbers that the filters on quantizer, backbone and dataset let through; without empty tables."""
    kept = (
        replace(publication, tables=tuple(t for table in publication.tables if (t := _matching(table, only)).rows))
        for publication in publications
    )
    return tuple(publication for publication in kept if publication.tables)


def _matching(table: PublishedTable, only: RecordFilter) -> PublishedTable:
    filters = (("-q", only.quantizers), ("-b", only.backbones), ("-d", only.datasets))
    rows = [
        row
        for row in table.rows
        if all(
            not patterns or any(fnmatchcase(name, p) for name in _called(table, row, flag) for p in patterns)
            for flag, patterns in filters
        )
    ]
    return replace(table, rows=tuple(rows))


def _published_names(publications: Iterable[Publication], flag: str) -> set[str]:
    return {
        name
        for publication in publications
        for table in publication.tables
        for row in table.rows
        for name in _called(table, row, flag)
    }


def _called(table: PublishedTable, row: PublishedRow, flag: str) -> tuple[str, ...]:
    """What a filter may call a published row."""
    if flag == "-d":
        return (table.protocol.dataset,)
    if flag == "-b":
        return (row.backbone,) if row.backbone else ()
    return tuple(dict.fromkeys((row.method, row.label)))


def _names(component: ComponentRecord) -> tuple[str, ...]:
    return component.label, component.id.rpartition("/")[2], component.id


def select_groups(leaderboard: Leaderboard, patterns: Sequence[str]) -> Leaderboard:
    """The groups that one of the globs names: by id, dataset, bits per image, protocol or environment.

    Raises:
        UsageError: a pattern names none.
    """
    groups: list[Group | RateGroup] = [group for board in leaderboard.boards for group in board.groups]
    groups += leaderboard.rate.groups if leaderboard.rate else ()
    for pattern in patterns:
        if not any(_is_called(group, pattern) for group in groups):
            known = ", ".join(dict.fromkeys(name for group in groups for name in group.names))
            raise UsageError(f"--group {pattern} matches no group", expected=f"one of {known}")
    boards = tuple(
        replace(board, groups=tuple(g for g in board.groups if any(_is_called(g, p) for p in patterns)))
        for board in leaderboard.boards
    )
    rate = leaderboard.rate
    if rate is not None:
        rate = replace(rate, groups=tuple(g for g in rate.groups if any(_is_called(g, p) for p in patterns)))
    return replace(leaderboard, boards=boards, rate=rate if rate and rate.groups else None)


def _is_called(group: Group | RateGroup, pattern: str) -> bool:
    return any(fnmatchcase(name, pattern) for name in group.names)
