"""Timings of cells for tests, and records that have them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from records import environment, make_record

from vqbench.results import CellRecord, TimingRecord
from vqbench.results.speeds import speed_metric, speed_name

__all__ = ["FP32", "timed", "timing"]

FP32, BF16 = "0" * 16, "1" * 16


def timing(rates: Sequence[float] | None, batch_size: int = 8, dtype: str = "fp32", **more: Any) -> TimingRecord:
    fields = {"stage": "encode", "batch_size": batch_size, "dtype": dtype, "channels_last": False}
    fields |= {"compile": dtype == "bf16", "fingerprint": BF16 if dtype == "bf16" else FP32}
    fields |= {"images_per_second": None if rates is None else float(np.median(rates))}
    fields |= {"reason": "no such dtype" if rates is None else None}
    fields |= {"samples": () if rates is None else tuple(map(float, rates))}
    return TimingRecord.model_validate(fields | more)


def timed(*timings: TimingRecord, **more: Any) -> CellRecord:
    """A record of a GPU whose headline is its first timing."""
    metrics = {speed_name(timings[0]): speed_metric(timings[0])}
    record = make_record(metrics=metrics, timings=list(timings), where=environment("gpu"), **more)
    assert record.environment
    where = record.environment.model_copy(update={"fingerprint": timings[0].fingerprint})
    return record.model_copy(update={"environment": where})
