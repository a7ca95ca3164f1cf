"""The headline speeds of a cell."""

from __future__ import annotations

from vqbench.plan import Setting
from vqbench.results import MetricRecord
from vqbench.results.speeds import speed_metric, speed_name
from vqbench.worker.timing.measure import Timings

__all__ = ["throughput_metrics"]


def throughput_metrics(timings: Timings, headline: Setting) -> dict[str, MetricRecord]:
    """Images per second of each timed stage in one setting, and the largest batch if it was looked for.

    Args:
        timings: of all settings.
        headline: the setting.
    """
    metrics = {
        speed_name(timing): speed_metric(timing)
        for timing in timings.records
        if timing.key[1:] == headline.key and not timing.largest
    }
    if timings.largest is not None:
        metrics["largest_batch"] = _largest(timings, headline)
    return metrics


def _largest(timings: Timings, headline: Setting) -> MetricRecord:
    largest = timings.largest
    assert largest is not None
    return MetricRecord(
        value=float(largest.size) if largest.size else None,
        n=1 if largest.size else 0,
        unit="images",
        better="higher",
        board="throughput",
        protocol=f"largest power of two that fits, images to codes to images, {headline.dtype}, eager",
        reason=None if largest.size else largest.why,
        details={"stopped by": largest.why},
    )
