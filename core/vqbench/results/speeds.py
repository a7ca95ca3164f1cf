"""Timings as numbers of a record."""

from __future__ import annotations

from collections.abc import Sequence

from vqbench.intervals import ORDER_STATISTICS
from vqbench.results.record import MetricRecord
from vqbench.results.timing import TimingRecord

__all__ = [
    "SPEED_FACTOR",
    "best_in_ten",
    "count_threads",
    "describe_setting",
    "speed_metric",
    "speed_name",
    "speed_name_in_setting",
    "without_setting",
]

NOISY = "noisy: "
BEST = 10
SPEED_FACTOR = 1.1
"""Speeds closer than this are equal, however narrow their intervals: samples of one process do not show how processes differ."""


def best_in_ten(samples: Sequence[float], *, higher: bool) -> float:
    """Of so many samples the best but for one in ten, which stands for the best ones: load makes samples slow and never fast.

    Args:
        samples: one at least.
        higher: whether more is better.
    """
    return sorted(samples, reverse=higher)[(len(samples) - 1) // BEST]


def speed_name(timing: TimingRecord) -> str:
    """What the speed of a stage is called among the metrics: ``encode_images_per_second``."""
    return f"{timing.stage}_images_per_second"


def speed_name_in_setting(timing: TimingRecord) -> str:
    """The same with the setting, where a record has several: ``encode_images_per_second (batch 8, bf16, compiled, 1 thread)``."""
    return f"{speed_name(timing)} ({_setting(timing)})"


def without_setting(name: str) -> str:
    """The name of a speed without the setting that it may be in."""
    return name.partition(" (")[0]


def speed_metric(timing: TimingRecord) -> MetricRecord:
    """A stage's images per second, median with its interval; ``caution`` where it was noisy."""
    return MetricRecord(
        value=timing.images_per_second,
        low=timing.low,
        high=timing.high,
        interval=None if timing.low is None else ORDER_STATISTICS,
        n=len(timing.samples),
        unit="images/s",
        better="higher",
        board="throughput",
        protocol=describe_setting(timing),
        reason=timing.reason,
        caution=None if timing.noisy is None else NOISY + timing.noisy.partition("; ")[0],
        samples=timing.samples,
    )


def describe_setting(timing: TimingRecord) -> str:
    """How it was measured, in a few words."""
    what = "samples" if timing.passes == 1 else "passes, of each the best sample in ten,"
    return f"{_setting(timing)}; median of {what} after warm-up, inputs rotated past the cache"


def _setting(timing: TimingRecord) -> str:
    how = "compiled" if timing.compile else "eager"
    layout = ", channels last" if timing.channels_last else ""
    threads = "" if timing.threads is None else f", {count_threads(timing.threads)}"
    return f"batch {timing.batch_size}, {timing.dtype}, {how}{layout}{threads}"


def count_threads(threads: int) -> str:
    """So many threads, in words."""
    return f"{threads} thread" + ("" if threads == 1 else "s")
