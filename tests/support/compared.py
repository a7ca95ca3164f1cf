"""Result sets for tests of comparing, written to folders as a run would."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from records import metric, write_record

from vqbench.compare import Finding, Gate, Report, compare_sides, open_side
from vqbench.compare.gate import parse_gate
from vqbench.results import CellRecord, MetricRecord
from vqbench.results.values import write_values

__all__ = ["compared", "findings", "only", "save", "save_values", "speed"]


def save(folder: Path, *records: CellRecord) -> Path:
    for record in records:
        write_record(folder, record)
    return folder


def save_values(folder: Path, record: CellRecord, **values: np.ndarray) -> None:
    """The values of each image behind a record's means."""
    path = folder / record.suite / "values" / f"{record.cell_id}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_values(path, values)


def compared(base: Path | str, new: Path | str, gate: Mapping[str, Any] | Gate | None = None) -> Report:
    gate = gate if isinstance(gate, Gate) else parse_gate({"schema": 1, **(gate or {})}, source="gate.toml")
    with open_side(str(base)) as before, open_side(str(new)) as after:
        return compare_sides(before, after, gate)


def findings(report: Report) -> Iterator[tuple[str | None, str, str]]:
    """Metric, verdict and effect of each."""
    return ((found.metric, found.verdict, found.effect) for found in report.findings)


def only(report: Report) -> Finding:
    [found] = report.findings
    return found


def speed(samples: np.ndarray | None, **more: Any) -> MetricRecord:
    """Images per second of batches of one image, from the seconds each took."""
    rates = None if samples is None else 1 / samples
    value = more.pop("value", None) if rates is None else float(np.median(rates))
    return metric(
        value,
        n=more.pop("n", 0 if rates is None else len(rates)),
        unit="images/s",
        board="throughput",
        samples=() if rates is None else tuple(rates.tolist()),
        **more,
    )
