"""vqbench's operations over a grid of sizes and devices.

``pytest benchmarks/test_ops.py`` measures a few sizes, ``--grid full`` all. ``extra_info`` of each result holds the floor
of the operation on this machine and how many times that the median took (``--benchmark-json``).
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
import torch

from benchmarks.peers.agreement import check_codes
from benchmarks.peers.cases import SEARCHES, Case, make_inputs
from benchmarks.peers.contender import Contender, Outputs
from benchmarks.peers.ours import EXACT_ENTROPY, OURS
from benchmarks.peers.roofline import Rates, floor_seconds, measure_rates, work_of

DEVICES = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)
MOST_PAIRS = {"cpu": 1 << 32, "cuda": 1 << 36}


def searches(grid: str) -> Iterator[Case]:
    if grid == "small":
        sizes: Any = [(4_096, 1_024, 8), (4_096, 1_024, 64), (4_096, 16_384, 64)]
    else:
        sizes = product((4_096, 65_536, 262_144), (256, 1_024, 16_384, 65_536, 262_144), (1, 4, 8, 16, 64, 256, 512))
    for operation, (rows, codewords, dim) in product((*SEARCHES, "gq"), sizes):
        stages = 4 if operation == "residual" else 1
        yield Case(operation=operation, rows=rows, dim=dim, codewords=codewords, stages=stages)


def quantizers(grid: str) -> Iterator[Case]:
    for rows, training in product((4_096,) if grid == "small" else (4_096, 65_536), (False, True)):
        case = functools.partial(Case, rows=rows, training=training)
        yield case(operation="vq", dim=64, codewords=1_024)
        yield case(operation="rq", dim=64, codewords=1_024, stages=4)
        yield case(operation="fsq", dim=5, levels=(8, 8, 8, 6, 5))
        yield case(operation="lfq", dim=10)
        yield case(operation="bsq", dim=10)
        if grid == "full":
            yield case(operation="vq", dim=8, codewords=16_384)
            yield case(operation="vq", dim=256, codewords=16_384)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    grid = metafunc.config.getoption("--grid")
    cases = [*searches(grid), *quantizers(grid)]
    points = [
        pytest.param(contender, case, device, id=f"{contender.name}: {case.title}, {device}".replace("×", "x"))
        for case, contender, device in product(cases, (OURS, EXACT_ENTROPY), DEVICES)
        if contender.does(case, device) and case.rows * case.codewords <= MOST_PAIRS[device]
    ]
    metafunc.parametrize(("contender", "case", "device"), points)


@functools.cache
def rates(device: str) -> Rates:
    return measure_rates(torch.device(device))


def test_operation(benchmark: Any, contender: Contender, case: Case, device: str) -> None:
    where = torch.device(device)
    inputs = make_inputs(case, where)
    run = contender.implementations[case.operation].prepare(case, inputs)

    def call() -> Outputs:
        outputs = run()
        if device == "cuda":
            torch.cuda.synchronize()
        return outputs

    benchmark.group = f"{case.operation} {device}"
    codes = call().codes  # of the first call: training moves a codebook
    benchmark(call)
    assert check_codes(case, inputs, codes.reshape(case.rows, case.stages)).wrong == 0
    if benchmark.stats is not None:  # None with --benchmark-disable
        floor = floor_seconds(work_of(case), rates(device))
        benchmark.extra_info |= {"floor_seconds": floor, "times_floor": benchmark.stats.stats.median / floor}
