"""Times the stages of a tokenizer in all settings that a suite asks for."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from vqbench.errors import UnavailableError
from vqbench.intervals import median_interval
from vqbench.plan import Setting, Stage, Timing
from vqbench.results import TimingRecord
from vqbench.run.failures import is_out_of_memory
from vqbench.worker.environment import describe_environment
from vqbench.worker.timing.clock import choose_clock, sample
from vqbench.worker.timing.inputs import cache_bytes, image_batch, rotating
from vqbench.worker.timing.largest import LargestBatch, find_largest_batch
from vqbench.worker.timing.machine import CoresMeter, EnergyMeter, explain_noise, look_at_machine
from vqbench.worker.timing.memory import MemoryMeter
from vqbench.worker.timing.stages import check_setting, in_setting, prepare_stage
from vqbench.worker.tokenizer import Tokenizer

__all__ = ["Timings", "time_tokenizer"]

DIGITS = 6
LONGEST_REASON = 500


@dataclass(frozen=True)
class Timings:
    """What was measured; ``largest`` is None where nobody asked for the largest batch."""

    records: list[TimingRecord]
    largest: LargestBatch | None


def time_tokenizer(
    tokenizer: Tokenizer,
    images: Tensor,
    timing: Timing,
    *,
    batch_size: int,
    report: Callable[[int, int, str], None] = lambda done, total, what: None,
) -> Timings:
    """Time each stage in each setting. What cannot be measured is null with a reason and stops nothing.

    Args:
        tokenizer: on the device of the images; it is left as it was.
        images: ``(N, 3, H, W)`` in [0, 1]; repeated where a batch takes more.
        timing: what to measure.
        batch_size: where ``timing`` names no batch sizes.
        report: called before each measurement with (done, in all, what comes).
    """
    settings = list(timing.settings(batch_size))
    work: list[tuple[Stage, Setting]] = [(stage, setting) for setting in settings for stage in timing.stages]
    bench = _Bench(tokenizer, images, timing.seconds)
    records = []
    for done, (stage, setting) in enumerate(work):
        report(done, len(work), f"{stage.replace('_', ' ')}, batch {setting.batch_size}")
        records.append(bench.measure(stage, setting))
    largest = None
    if timing.largest_batch:
        report(len(work), len(work), "largest batch")
        first = settings[0]
        largest = _search(tokenizer, images, first)
        if largest.size:
            found = replace(first, batch_size=largest.size, compile=False)
            records += [bench.measure(stage, found, largest=True) for stage in timing.stages]
    return Timings(records, largest)


@dataclass(frozen=True)
class _Bench:
    tokenizer: Tokenizer
    images: Tensor
    seconds: float

    def measure(self, stage: Stage, setting: Setting, *, largest: bool = False) -> TimingRecord:
        device = self.images.device
        environment = describe_environment(device, setting=setting)
        try:
            measured = self._measure(stage, setting, device)
        except Exception as error:  # of a method, a compiler, a GPU: the cell's other numbers are worth keeping
            measured = {"images_per_second": None, "reason": _explain(error)}
        if device.type == "cuda":
            torch.cuda.empty_cache()
        return TimingRecord(
            stage=stage,
            batch_size=setting.batch_size,
            threads=setting.threads,
            dtype=setting.dtype,
            compile=setting.compile,
            channels_last=setting.channels_last,
            largest=largest,
            fingerprint=environment.fingerprint,
            **measured,
        )

    def _measure(self, stage: Stage, setting: Setting, device: torch.device) -> dict[str, Any]:
        check_setting(setting, device)
        with in_setting(self.tokenizer, setting, device):
            run = prepare_stage(self.tokenizer, stage, image_batch(self.images, setting.batch_size))
            inputs = rotating(run.first, cache_bytes(device), channels_last=setting.channels_last)
            function, compile_seconds = run.function, None
            if setting.compile:
                function, compile_seconds = _compiled(function, inputs[0], device)
            upcoming = _endless(inputs)
            before = look_at_machine(device)
            memory, energy, cores, calls = MemoryMeter(device), EnergyMeter(device), CoresMeter(), 0

            def operation() -> None:
                nonlocal calls
                calls += 1
                function(next(upcoming))

            clock, span = choose_clock(device)
            began = time.perf_counter()
            seconds = sample(operation, clock, seconds=self.seconds, span=span)
            spent, others = time.perf_counter() - began, cores.others()
            peak, peak_reason = memory.peak()
            if peak is not None:  # the inputs that wait for their turn are none of the stage's
                peak = max(peak - sum(tensor.nbytes for waiting in inputs[1:] for tensor in waiting), 0)
            joules, joules_reason = energy.per_image(calls * setting.batch_size, spent)
            after = look_at_machine(device)
        rates = [_rounded(setting.batch_size / second) for second in seconds]
        low, high = median_interval(rates)
        median = statistics.median(rates)
        return {
            "images_per_second": median,
            "low": low,
            "high": high,
            "tokens_per_second": median * _tokens_per_image(self.tokenizer),
            "latency_ms_p50": statistics.median(seconds) * 1e3,
            "latency_ms_p95": sorted(seconds)[math.ceil(0.95 * len(seconds)) - 1] * 1e3,
            "peak_bytes": peak,
            "peak_bytes_reason": peak_reason,
            "joules_per_image": joules,
            "joules_reason": joules_reason,
            "compile_seconds": compile_seconds,
            "samples": tuple(rates),
            "noisy": explain_noise(rates, before, after, others=others, threads=setting.threads),
            "others_cores": others,
            "before": before,
            "after": after,
        }


def _search(tokenizer: Tokenizer, images: Tensor, setting: Setting) -> LargestBatch:
    try:
        return find_largest_batch(tokenizer, images, setting)
    except Exception as error:  # as in measure()
        return LargestBatch(0, _explain(error))


def _compiled(
    function: Callable[[Any], object], first: Any, device: torch.device
) -> tuple[Callable[[Any], object], float]:
    """The function compiled, and how long its first call took."""
    torch.compiler.reset()  # of other settings
    began = time.perf_counter()
    compiled = torch.compile(function, dynamic=False)
    compiled(first)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return compiled, time.perf_counter() - began


def _endless(inputs: list[Any]) -> Iterator[Any]:
    while True:
        yield from inputs


def _tokens_per_image(tokenizer: Tokenizer) -> int:
    sides = [tokenizer.backbone.image_size // level.stride for level in tokenizer.levels]
    return sum(side**2 * len(q.codebook_sizes) for side, q in zip(sides, tokenizer.quantizers, strict=True))


def _rounded(rate: float) -> float:
    return float(f"{rate:.{DIGITS}g}")


def _explain(error: Exception) -> str:
    if isinstance(error, UnavailableError):
        return str(error)
    if is_out_of_memory(error):
        return "out of memory"
    text = " ".join(str(error).split())[:LONGEST_REASON]
    return f"{type(error).__name__}: {text}"
