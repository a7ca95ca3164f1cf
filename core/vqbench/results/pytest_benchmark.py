"""Reads what ``pytest --benchmark-json FILE`` writes.

Source: the format is that of pytest-benchmark 3 to 5, https://pytest-benchmark.readthedocs.io.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vqbench.bounded import read_bounded
from vqbench.canonical import content_id
from vqbench.errors import RecordError
from vqbench.intervals import ORDER_STATISTICS, median_interval
from vqbench.results.benchmarks import BenchmarkRecord, benchmark_id
from vqbench.results.record import MetricRecord
from vqbench.results.speeds import best_in_ten

__all__ = ["import_pytest_benchmarks"]

MAX_BYTES = 256 << 20
MOST_SAMPLES = 1000
PROTOCOL = "median over {samples} of the seconds of one call, timed by pytest-benchmark with {timer}"
PASSES = "passes, of each the best round in ten,"


class _Lenient(BaseModel):
    """Of the tool's file only what is used here is checked."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)


class _Stats(_Lenient):
    median: float = Field(ge=0)
    rounds: int = Field(ge=1)
    data: list[float] = Field(default_factory=list)


class _Options(_Lenient):
    timer: str = Field("", max_length=60)


class _Benchmark(_Lenient):
    fullname: str = Field(min_length=1, max_length=500)
    group: str | None = Field(None, max_length=200)
    params: dict[str, Any] | None = None
    stats: _Stats
    options: _Options = Field(default_factory=_Options)


class _File(_Lenient):
    machine_info: dict[str, Any]
    benchmarks: list[_Benchmark] = Field(min_length=1, max_length=10_000)
    datetime: str = Field("", max_length=60)
    version: str = Field("", max_length=40)


def import_pytest_benchmarks(paths: Sequence[Path], *, suite: str) -> list[BenchmarkRecord]:
    """The benchmarks in files of at most 256 MiB each.

    Several files are passes: of a benchmark that they share, each pass' best round in ten is one sample. Rounds of one process
    are alike in ways that processes are not, above all where other processes come and go; only passes are independent. Of one
    file, the rounds are the samples; of more than 1000, every k-th is kept.

    The fingerprint covers the processor and how many of them there are, operating
    system and Python's minor version: what a file tells of what speed depends on. The host's name is not part of it.

    Raises:
        RecordError: a file is missing, too large, damaged, or none of pytest-benchmark; or they are of several machines.
    """
    files = [_read(path) for path in paths]
    machine = _machine(files[0].machine_info)
    for path, file in zip(paths, files, strict=True):
        if _machine(file.machine_info) != machine:
            raise RecordError(
                f"{path} is of another machine than {paths[0]}", hint="Import them to different results folders."
            )
    passes: dict[str, list[_Benchmark]] = {}
    for file in files:
        for benchmark in file.benchmarks:
            passes.setdefault(benchmark.fullname, []).append(benchmark)
    return [_record(benchmarks, files[-1], machine, suite) for benchmarks in passes.values()]


def _read(path: Path) -> _File:
    raw = read_bounded(path, "Benchmark file", MAX_BYTES, RecordError)
    try:
        return _File.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise RecordError(
            f"{path} is no file of pytest-benchmark" + (f": {where!r} is wrong" if where else ""),
            got=first["msg"],
            hint="`pytest --benchmark-json FILE` writes one.",
        ) from None


def _record(benchmarks: Sequence[_Benchmark], file: _File, machine: dict[str, str], suite: str) -> BenchmarkRecord:
    last, tool = benchmarks[-1], "pytest-benchmark"
    several = len(benchmarks) > 1
    best = [best_in_ten(one.stats.data or [one.stats.median], higher=False) for one in benchmarks]
    rounds = best if several else last.stats.data
    samples = rounds[:: max(math.ceil(len(rounds) / MOST_SAMPLES), 1)]
    low, high = median_interval(samples)
    parameters = ", ".join(f"{key}={value}" for key, value in sorted((last.params or {}).items()))
    return BenchmarkRecord(
        benchmark_id=benchmark_id(tool, last.fullname),
        suite=suite,
        tool=f"{tool} {file.version}".strip(),
        name=last.fullname,
        group=last.group,
        parameters=parameters[:2000],
        seconds=MetricRecord(
            value=statistics.median(rounds or [last.stats.median]),
            low=low,
            high=high,
            interval=None if low is None else ORDER_STATISTICS,
            n=len(rounds) or last.stats.rounds,
            unit="s",
            better="lower",
            board="throughput",
            protocol=PROTOCOL.format(samples=PASSES if several else "rounds", timer=last.options.timer or "its timer"),
            samples=tuple(samples),
        ),
        fingerprint=content_id(machine),
        machine=machine,
        measured=file.datetime,
    )


def _machine(info: dict[str, Any]) -> dict[str, str]:
    cpu = info.get("cpu")
    cpu = cpu if isinstance(cpu, dict) else {}
    python = str(info.get("python_implementation_version", "")).split(".")[:2]
    found = {
        "processor": cpu.get("brand_raw") or cpu.get("brand") or info.get("processor"),
        "processors": cpu.get("count"),
        "machine": info.get("machine"),
        "system": info.get("system"),
        "python": f"{info.get('python_implementation', '')} {'.'.join(python)}".strip(),
    }
    return {key: str(value)[:200] for key, value in found.items() if value not in (None, "")}
