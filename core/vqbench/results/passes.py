"""Several runs of one suite as passes of its timings: each run is one sample.

Samples of one process are alike in ways that processes are not, above all where other processes come and go. So a speed
that was timed in several runs is told from load by its passes, as a benchmark's is.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from vqbench.errors import RecordError
from vqbench.intervals import median_interval
from vqbench.results.record import CellRecord
from vqbench.results.speeds import best_in_ten, describe_setting, speed_metric, speed_name
from vqbench.results.timing import MAX_SAMPLES, TimingRecord

__all__ = ["merge_passes"]


def merge_passes(record: CellRecord, others: Sequence[CellRecord]) -> CellRecord:
    """A cell's record with the speeds of all runs; everything else is as it was.

    A timing is merged with those of the same stage, setting and fingerprint that have a number: its speed is the median over
    the passes of the best sample in ten, and ``samples`` has one for each pass. Largest batches are left as they are, for
    other runs may have found others, and so is a timing that failed in the first run.

    Args:
        record: of the first run.
        others: of the same cell; those that failed are no passes.

    Raises:
        RecordError: one of the records is of several passes already, or there are more than 200.
    """
    if len(others) >= MAX_SAMPLES:
        raise RecordError(f"{len(others) + 1} runs are too many passes", expected=f"at most {MAX_SAMPLES}")
    for one in (record, *others):
        if any(timing.passes > 1 for timing in one.timings):
            raise RecordError(
                f"The timings of cell {one.cell_id} are of several runs already", hint="Merge the runs themselves."
            )
    passes = [{_what(timing): timing for timing in other.timings if timing.samples} for other in others]
    timings, metrics = [], dict(record.metrics)
    for timing in record.timings:
        same = [found for timed in passes if (found := timed.get(_what(timing)))]
        merged = _merged(timing, same) if same and timing.samples and not timing.largest else timing
        timings.append(merged)
        name = speed_name(timing)
        if name in metrics and metrics[name].protocol == describe_setting(timing):
            metrics[name] = speed_metric(merged)
    return record.model_copy(update={"timings": timings, "metrics": metrics})


def _what(timing: TimingRecord) -> tuple[object, ...]:
    return timing.key, timing.largest, timing.fingerprint


def _merged(first: TimingRecord, others: Sequence[TimingRecord]) -> TimingRecord:
    passes = [first, *others]
    speeds = [best_in_ten(one.samples, higher=True) for one in passes]
    low, high = median_interval(speeds)
    speed = statistics.median(speeds)
    tokens, before = first.tokens_per_second, first.images_per_second
    return first.model_copy(
        update={
            "passes": len(passes),
            "images_per_second": speed,
            "low": low,
            "high": high,
            "samples": tuple(speeds),
            "tokens_per_second": tokens * speed / before if tokens and before else tokens,
            "latency_ms_p50": _median([one.latency_ms_p50 for one in passes]),
            "latency_ms_p95": _median([one.latency_ms_p95 for one in passes]),
            "noisy": None if low is not None else "too few passes for an interval",
            "others_cores": _median([one.others_cores for one in passes]),
            "after": passes[-1].after,
        }
    )


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None
