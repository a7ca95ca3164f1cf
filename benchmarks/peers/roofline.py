"""The floor of an operation: what its arithmetic and its traffic take at the machine's own measured rates."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from benchmarks.peers.cases import SEARCHES, Case
from vqbench.ops.precision import true_float32

__all__ = ["Rates", "Work", "floor_seconds", "measure_rates", "work_of"]

MATRIX = {"cpu": 3072, "cuda": 8192}
COPY_BYTES = {"cpu": 1 << 28, "cuda": 1 << 31}
ROUNDS = 7
TANH_FLOPS = 20  # of a bounded value of FSQ; its traffic decides in any case


@dataclass(frozen=True, kw_only=True)
class Rates:
    """What a machine does at best: float32 operations a second in a matrix product, bytes a second in a copy."""

    flops_per_second: float
    bytes_per_second: float


@dataclass(frozen=True, kw_only=True)
class Work:
    """What an operation cannot do without: float32 operations, and bytes read of its inputs and written of its results."""

    flops: float
    bytes: float


def floor_seconds(work: Work, rates: Rates) -> float:
    """The larger of arithmetic over the peak rate and bytes over the bandwidth."""
    return max(work.flops / rates.flops_per_second, work.bytes / rates.bytes_per_second)


def work_of(case: Case) -> Work:
    """Of the best known way of doing it: a search is a matrix product whose scores are never stored.

    Codes are int64. The joint entropy of LFQ and BSQ is a product of the codes' halves, ``2·N·2^d`` operations forward
    and twice that backward.
    """
    element = 4 * case.rows * case.dim
    codes = 8 * case.rows * case.stages
    table = 4 * case.stages * case.codewords * case.dim
    pairs = case.rows * case.codewords * case.stages
    inner = 2 * case.dim if case.operation == "gq" else case.dim
    streams = 1 if case.operation in SEARCHES else 3 if case.operation == "gq" else 2  # vectors, value, log variances
    flops = 2.0 * pairs * inner
    if case.training:
        streams += 2  # gradients read and written
        if case.operation in ("lfq", "bsq"):
            flops += 6.0 * case.rows * 2**case.dim
    if case.operation == "fsq":
        flops += TANH_FLOPS * case.rows * case.dim
    return Work(flops=flops, bytes=float(streams * element + codes + table))


def measure_rates(device: torch.device) -> Rates:
    """The best of several products of large float32 matrices (no TF32) and of several copies of a large array.

    A copy counts what it reads and what it writes.
    """
    size = MATRIX.get(device.type, MATRIX["cpu"])
    left, right = torch.rand(size, size, device=device), torch.rand(size, size, device=device)
    product = torch.empty_like(left)
    source = torch.ones(COPY_BYTES.get(device.type, COPY_BYTES["cpu"]) // 4, device=device)
    target = torch.ones_like(source)
    with true_float32(device):
        arithmetic = _best_seconds(lambda: torch.mm(left, right, out=product), device)
    copying = _best_seconds(lambda: target.copy_(source), device)
    return Rates(flops_per_second=2.0 * size**3 / arithmetic, bytes_per_second=2.0 * 4 * source.numel() / copying)


def _best_seconds(call: Callable[[], object], device: torch.device) -> float:
    best = math.inf
    for _ in range(ROUNDS):
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        start = time.perf_counter()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - start)
    return best
