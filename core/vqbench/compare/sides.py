"""BASE and NEW: where their entries and values of each image come from."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from vqbench.compare.entry import Entry, entry_of_benchmark, entry_of_broken, entry_of_cell
from vqbench.compare.revision import extract_revision
from vqbench.errors import ResultsError
from vqbench.results import StoredValues, read_benchmark, read_benchmarks, read_record, read_records
from vqbench.results.benchmarks import BENCHMARK_NAME

__all__ = ["Side", "open_side"]

EXPECTED = "a results folder, a record, or REV:PATH of a git revision"


@dataclass(frozen=True, kw_only=True)
class Side:
    """One result set: what the user called it, its entries, and the values of each image behind their numbers."""

    name: str
    entries: tuple[Entry, ...]
    values: StoredValues


@contextlib.contextmanager
def open_side(text: str, *, warn: Callable[[str], None] = lambda message: None) -> Iterator[Side]:
    """Read a results folder (of one suite or of many), a record's file, or either in a git revision: ``REV:PATH``.

    What exists as a path is taken as one. The values of each image are read when they are asked for, while the context is open.

    Raises:
        ResultsError: it does not exist, cannot be read, or holds nothing.
        RecordError: it is a file, and not a record.
    """
    with contextlib.ExitStack() as stack:
        path = Path(text)
        if not text:
            raise ResultsError("There are no results ''", expected=EXPECTED)
        if not path.exists() and ":" in text:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="vqbench-compare-"))
            path = extract_revision(text, Path(folder))
        entries = [_read_file(path)] if path.is_file() else _read_folder(path, text)
        if not entries:
            raise ResultsError(
                f"There are no records in {text}", hint="`vqbench run` makes some; or name another folder."
            )
        values = StoredValues(path.parent if path.is_file() else path, warn=warn)
        yield Side(name=text, entries=tuple(entries), values=values)


def _read_file(path: Path) -> Entry:
    if BENCHMARK_NAME.fullmatch(path.name):
        return entry_of_benchmark(read_benchmark(path))
    return entry_of_cell(read_record(path))


def _read_folder(path: Path, text: str) -> list[Entry]:
    if not path.is_dir():
        raise ResultsError(f"There are no results {text}", expected=EXPECTED)
    cells, broken_cells = read_records(path)
    benchmarks, broken_benchmarks = read_benchmarks(path)
    return [
        *map(entry_of_cell, cells),
        *map(entry_of_benchmark, benchmarks),
        *map(entry_of_broken, [*broken_cells, *broken_benchmarks]),
    ]
