"""Benchmarks that another tool timed, kept beside the records so that one gate serves both.

::

    RESULTS/<suite>/<id>.benchmark.json
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field

from vqbench.canonical import content_id
from vqbench.errors import RecordError, ResultsError
from vqbench.results.record import IDENTIFIER, MetricRecord, Strict
from vqbench.results.store import BrokenRecord, read_all, read_strictly, write_atomically

__all__ = ["BENCHMARK_NAME", "BenchmarkRecord", "benchmark_id", "read_benchmark", "read_benchmarks", "write_benchmarks"]

BENCHMARK_NAME: Final = re.compile(r"[0-9a-f]{16}\.benchmark\.json")
Short = Annotated[str, Field(max_length=200)]


def benchmark_id(tool: str, name: str) -> str:
    """The id of a benchmark, which two imports of it share."""
    return content_id([tool, name])


class BenchmarkRecord(Strict):
    """One benchmark: how long its operation takes.

    ``name`` is the test's full name, file included; ``parameters`` are its parameters as text. ``seconds`` has the median of the
    rounds, its interval and the rounds themselves. ``fingerprint`` is a hash of ``machine``: what speed depends on there.
    """

    schema_version: Literal[1] = 1
    benchmark_id: str = Field(pattern=IDENTIFIER)
    suite: str = Field(max_length=64)
    tool: str = Field(max_length=60)
    name: str = Field(min_length=1, max_length=500)
    group: str | None = Field(None, max_length=200)
    parameters: str = Field("", max_length=2000)
    seconds: MetricRecord
    fingerprint: str = Field(pattern=IDENTIFIER)
    machine: dict[Short, Short] = Field(max_length=20)
    measured: str = Field("", max_length=60)


def read_benchmark(path: Path) -> BenchmarkRecord:
    """Read one benchmark.

    Raises:
        RecordError: unreadable, too large, not JSON, of another schema, or wrong in a field.
    """
    record = read_strictly(path, BenchmarkRecord)
    if path.name != f"{record.benchmark_id}.benchmark.json":
        raise RecordError(
            f"Record {path} holds another benchmark", got=record.benchmark_id, hint="Restore its name or delete it."
        )
    return record


def read_benchmarks(results: Path) -> tuple[list[BenchmarkRecord], list[BrokenRecord]]:
    """All benchmarks of a results folder (of one suite or of many), and the files that are damaged.

    Raises:
        ResultsError: there is no such folder, or it cannot be read.
    """
    return read_all(results, BENCHMARK_NAME, read_benchmark)


def write_benchmarks(folder: Path, records: Sequence[BenchmarkRecord]) -> None:
    """Make these the benchmarks of a suite's folder; what an earlier import left there goes once they are written.

    Raises:
        ResultsError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        earlier = {path for path in folder.iterdir() if BENCHMARK_NAME.fullmatch(path.name)}
    except OSError as error:
        raise ResultsError(
            f"Results folder {folder} cannot be written", got=error.strerror, hint="Choose another with --results DIR."
        ) from error
    for record in records:
        path = folder / f"{record.benchmark_id}.benchmark.json"
        write_atomically(path, (record.model_dump_json(indent=1) + "\n").encode())
        earlier.discard(path)
    for path in earlier:
        path.unlink(missing_ok=True)
