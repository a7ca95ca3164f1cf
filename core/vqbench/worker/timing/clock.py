"""Seconds per call of an operation, sampled until a time budget is spent."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Protocol

import torch

from vqbench.results.timing import MAX_SAMPLES

__all__ = ["Clock", "CpuClock", "CudaClock", "choose_clock", "sample", "warm_up"]

Operation = Callable[[], object]

SHORTEST = 1e-3
"""Seconds that a sample spans at least: a quicker operation is called several times for one."""
WINDOW = 5
STABLE = 0.02
"""Warm-up ends when the medians of the last WINDOW calls and of the WINDOW before differ by no more than this part …"""
LEAST_WARM_UP = 0.1
"""… and this part of the budget is spent: a GPU raises its clocks slowly."""
MOST_WARM_UP = 1000
LEAST_SAMPLES = 6
"""For fewer there is no interval of a median: a slow operation may take PATIENCE budgets for them."""
PATIENCE = 5


class Clock(Protocol):
    """Times calls on one device."""

    def block(self, operation: Operation, *, calls: int, samples: int) -> list[float]:
        """Mean seconds per call of each of ``samples`` runs of ``calls`` calls."""


class CpuClock:
    """Wall time around calls that return when they are done."""

    def block(self, operation: Operation, *, calls: int, samples: int) -> list[float]:
        times = []
        for _ in range(samples):
            start = time.perf_counter()
            for _ in range(calls):
                operation()
            times.append((time.perf_counter() - start) / calls)
        return times


class CudaClock:
    """CUDA events between calls on the current stream; the host waits once, for the block's last event."""

    def block(self, operation: Operation, *, calls: int, samples: int) -> list[float]:
        events = [torch.cuda.Event(enable_timing=True) for _ in range(samples + 1)]  # type: ignore[no-untyped-call]
        events[0].record()
        for event in events[1:]:
            for _ in range(calls):
                operation()
            event.record()
        events[-1].synchronize()
        return [start.elapsed_time(stop) / 1e3 / calls for start, stop in pairwise(events)]


def choose_clock(device: torch.device) -> tuple[Clock, float]:
    """The clock of a device and how many seconds one of its blocks should span: what a wait costs is small beside that."""
    return (CudaClock(), 0.02) if device.type == "cuda" else (CpuClock(), SHORTEST)


def sample(operation: Operation, clock: Clock, *, seconds: float, span: float = SHORTEST) -> list[float]:
    """Seconds per call, after warm-up: at most MAX_SAMPLES samples, until ``seconds`` have passed.

    If they do not yield LEAST_SAMPLES, it goes on until there are so many or PATIENCE times ``seconds`` have passed; a sample is
    taken in any case.

    Each sample is the mean of as many consecutive calls as last SHORTEST, which is one unless they are short.

    Args:
        operation: what to call.
        clock: of the device it runs on.
        seconds: the budget; warm-up has as much again.
        span: seconds between two looks at the budget, and on a GPU between two waits.
    """
    typical = max(warm_up(operation, clock, seconds=seconds), 1e-9)
    calls = math.ceil(SHORTEST / typical)
    at_once = max(1, round(span / (calls * typical)))
    samples: list[float] = []
    began = time.perf_counter()
    while len(samples) < MAX_SAMPLES:
        spent = time.perf_counter() - began
        if samples and spent >= (seconds if len(samples) >= LEAST_SAMPLES else PATIENCE * seconds):
            break
        samples += clock.block(operation, calls=calls, samples=min(at_once, MAX_SAMPLES - len(samples)))
    return samples


def warm_up(operation: Operation, clock: Clock, *, seconds: float) -> float:
    """Call until the time per call is stable, ``seconds`` have passed, or MOST_WARM_UP calls; the last calls' median."""
    times: list[float] = []
    began = time.perf_counter()
    while True:
        times += clock.block(operation, calls=1, samples=1)
        spent = time.perf_counter() - began
        if spent >= seconds or len(times) >= MOST_WARM_UP or (spent >= LEAST_WARM_UP * seconds and _stable(times)):
            return statistics.median(times[-WINDOW:])


def _stable(times: Sequence[float]) -> bool:
    if len(times) < 2 * WINDOW:
        return False
    now, before = statistics.median(times[-WINDOW:]), statistics.median(times[-2 * WINDOW : -WINDOW])
    return abs(now - before) <= STABLE * before
