"""Speed: records as the throughput board sees them, one for each environment and batch size; and the Pareto front."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vqbench.results import CellRecord, MetricRecord, TimingRecord
from vqbench.results.speeds import describe_setting, speed_metric, speed_name
from vqbench.results.timing import DTYPE_NAMES

__all__ = ["pareto_front", "speed_views"]

MIB = 1 << 20
TAILS = ("encode", "decode")


def speed_views(records: Iterable[CellRecord]) -> list[CellRecord]:
    """Each record once for every environment and batch size that it was timed in, with the speeds measured there.

    The environment of a view has the fingerprint and the batch size. Largest batches stay apart: they differ from row to row. A
    record without timings is its own view.
    """
    return [view for record in records for view in _views(record)]


def _views(record: CellRecord) -> list[CellRecord]:
    settings: dict[tuple[str, int], list[TimingRecord]] = {}
    for timing in record.timings:
        if not timing.largest:
            settings.setdefault((timing.fingerprint, timing.batch_size), []).append(timing)
    if record.environment is None or not settings:
        return [record]
    return [_view(record, timings) for timings in settings.values()]


def _view(record: CellRecord, timings: Sequence[TimingRecord]) -> CellRecord:
    assert record.environment is not None
    first = timings[0]
    here = {
        "fingerprint": first.fingerprint,
        "threads": first.threads or record.environment.threads,
        "dtype": DTYPE_NAMES[first.dtype],
        "compile": first.compile,
        "channels_last": first.channels_last,
        "batch_size": first.batch_size,
    }
    headline = record.environment.fingerprint == first.fingerprint
    kept = {
        name: metric
        for name, metric in record.metrics.items()
        if not name.endswith("_images_per_second") and (headline or name != "largest_batch")
    }
    environment = record.environment.model_copy(update=here)
    return record.model_copy(update={"environment": environment, "metrics": _speeds(timings) | kept})


def _speeds(timings: Sequence[TimingRecord]) -> dict[str, MetricRecord]:
    """Images per second of each stage, the slow tail of the latency, and what memory and energy it takes."""
    metrics = {speed_name(timing): speed_metric(timing) for timing in timings}
    for timing in timings:
        if timing.stage in TAILS and timing.latency_ms_p95 is not None:
            metrics[f"{timing.stage}_ms_p95"] = _number(timing.latency_ms_p95, "ms", timing)
    peaks = [timing for timing in timings if timing.peak_bytes is not None]
    if peaks:
        most = max(peaks, key=lambda timing: timing.peak_bytes or 0)
        metrics["peak_memory"] = _number((most.peak_bytes or 0) / MIB, "MiB", most)
    for timing in timings:
        if timing.joules_per_image is not None:
            metrics[f"{timing.stage}_joules_per_image"] = _number(timing.joules_per_image, "J", timing)
    return metrics


def _number(value: float, unit: str, timing: TimingRecord) -> MetricRecord:
    return MetricRecord(
        value=value,
        n=len(timing.samples),
        unit=unit,
        better="lower",
        board="throughput",
        protocol=describe_setting(timing),
    )


def pareto_front(points: Sequence[tuple[float, float] | None]) -> list[bool | None]:
    """Which points no other one beats in one coordinate without losing in the other; more is better in both.

    None where a point is unknown.
    """
    known = [point for point in points if point is not None]
    return [
        None
        if point is None
        else not any(other != point and other[0] >= point[0] and other[1] >= point[1] for other in known)
        for point in points
    ]
