"""The first passes of the search and the decision after them: all find what float64 finds."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from torch import Tensor

from vqbench.ops import affine, cpu, cuda, fused, threads, tiled
from vqbench.ops.argmin import argmin_affine
from vqbench.ops.halves import Halves
from vqbench.ops.precision import true_float32
from vqbench.ops.threads import torch_threads


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def argmin(rows: Tensor, codes: Tensor, bias: Tensor) -> Tensor:
    """The search among operands that float32 holds exactly."""

    def exact(row: Tensor, code: Tensor) -> Tensor:
        return bias[code].double() + (rows[row].double() * codes[code].double()).sum(dim=1)

    with true_float32(rows.device):
        return argmin_affine(rows, codes, bias, exact)


def operands(n: int, k: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Small integers, so that float64 and most float32 scores are exact, and many of them tie."""
    rows = torch.randint(-8, 9, (n, width), generator=seeded(n)).float()
    codes = torch.randint(-8, 9, (k, width), generator=seeded(k)).float()
    if k > 2:
        codes[k // 2 :] = codes[: k - k // 2].clone()
    return rows, codes, codes.square().sum(dim=1) / 2


def smallest(rows: Tensor, codes: Tensor, bias: Tensor) -> Tensor:
    return (bias.double() + rows.double() @ codes.double().T).argmin(dim=1)


def two_smallest(rows: Tensor, codes: Tensor, bias: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What the fused kernel returns, where there is no device for it (test_ops_fused.py tests the kernel)."""
    scores = torch.cat([torch.addmm(bias, rows, codes.T), torch.full((len(rows), 1), torch.inf)], dim=1)
    values, indices = scores.sort(dim=1, stable=True)
    return values[:, 0], values[:, 1], indices[:, 0]


@pytest.fixture(params=["cpu", "halves", "tiled", "cuda"])
def first_pass(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Lets searches on the CPU go through one of the first passes."""
    monkeypatch.setattr(cpu, "multiplies_bfloat16", lambda: request.param == "halves")
    monkeypatch.setattr(cpu, "HALF_WIDTH", 1)
    if request.param == "tiled":
        monkeypatch.setattr(cpu, "first_pass", tiled.first_pass)
    if request.param == "cuda":
        monkeypatch.setattr(cpu, "first_pass", cuda.first_pass)
        monkeypatch.setattr(fused, "why_unavailable", lambda device: None)
        monkeypatch.setattr(fused, "two_smallest", two_smallest)
    return str(request.param)


@pytest.mark.parametrize("width", [1, 2, 4, 5, 8, 9, 70])
@pytest.mark.parametrize(("n", "k"), [(1, 1), (3, 2), (65, 63), (130, 129), (300, 1000)])
def test_every_pass_finds_the_lowest_of_the_smallest(first_pass: str, n: int, k: int, width: int) -> None:
    made = operands(n, k, width)
    assert torch.equal(argmin(*made), smallest(*made))


@pytest.mark.parametrize("width", [3, 12])
@pytest.mark.parametrize("size", [1, 7, 16, 50])
def test_tiles_change_nothing(monkeypatch: pytest.MonkeyPatch, first_pass: str, size: int, width: int) -> None:
    made = operands(33, 101, width)
    for module, name in (
        (tiled, "TILE_COLUMNS"),
        (tiled, "TILE_SCORES"),
        (cpu, "TILE_ROWS"),
        (cpu, "TILE_COLUMNS"),
        (cpu, "PANEL_ROWS"),
        (cpu, "PART"),
        (cpu, "LANES"),
        (affine, "TILE_COLUMNS"),
        (affine, "PAIR_NUMBERS"),
        (affine, "TILE_NUMBERS"),
    ):
        monkeypatch.setattr(module, name, -(-size // 16) * 16 if name == "LANES" else size)
    assert torch.equal(argmin(*made), smallest(*made))


@pytest.mark.parametrize("width", [6, 60])
def test_any_number_of_threads_finds_the_same(first_pass: str, width: int) -> None:
    rows = torch.randn(5000, width, generator=seeded(0))
    codes = torch.randn(500, width, generator=seeded(1))
    made = rows, codes, codes.square().sum(dim=1) / 2
    before = torch.get_num_threads()
    found = []
    for number in (1, 2, 3):
        torch.set_num_threads(number)
        try:
            found.append(argmin(*made))
            assert torch.get_num_threads() == number
        finally:
            torch.set_num_threads(before)
    assert torch.equal(found[0], smallest(*made))
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


def test_bfloat16_is_given_up_where_it_tells_little_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand codewords in a heap: bfloat16 sees one. The first tile shows it, later ones are float32."""
    rows = torch.randn(600, 64, generator=seeded(0))
    codes = 1 + 1e-4 * torch.randn(1000, 64, generator=seeded(1))
    made = rows, codes, torch.zeros(1000)
    tiles = 0
    make = Halves.rows

    def counting(self: Halves, rows: Tensor, doubt: Tensor) -> tuple[Tensor, Tensor]:
        nonlocal tiles
        tiles += 1
        return make(self, rows, doubt)

    monkeypatch.setattr(cpu, "multiplies_bfloat16", lambda: True)
    monkeypatch.setattr(cpu, "TILE_ROWS", 100)
    monkeypatch.setattr(Halves, "rows", counting)
    assert torch.equal(argmin(*made), smallest(*made))
    assert tiles == 1


@pytest.mark.parametrize("width", [4, 30, 60])
@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1.0, 1e12])
def test_the_bounds_cover_the_rounding_at_every_scale(first_pass: str, width: int, scale: float) -> None:
    """Near ties: the same codeword many times, moved by a few units in the last place of float32."""
    rows = torch.randn(200, width, generator=seeded(0)) * scale
    codes = torch.randn(1, width, generator=seeded(1)) * (1 + 2e-7 * torch.randn(64, width, generator=seeded(2)))
    made = rows, codes, torch.zeros(64)
    score = rows.double() @ codes.double().T
    found = argmin(*made)
    rounding = 1e-15 * (rows.double().abs() @ codes.double().abs().T).amax(dim=1)
    assert bool((score.gather(1, found[:, None])[:, 0] <= score.amin(dim=1) + rounding).all())


def test_a_device_without_the_fused_kernel_says_so_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "first_pass", cuda.first_pass)
    made = operands(20, 10, 3)
    cuda._say_once.cache_clear()
    with pytest.warns(UserWarning, match="needs a CUDA device, not cpu"):
        assert torch.equal(argmin(*made), smallest(*made))
    assert torch.equal(argmin(*made), smallest(*made))  # warnings are errors here


@pytest.mark.parametrize("openmp", [True, False])
def test_threads_share_out_every_item_once_and_pass_errors_on(openmp: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not openmp:
        monkeypatch.setattr(threads, "_parallel", None)
    seen: list[int] = []
    lock = threading.Lock()

    def work(here: slice) -> None:
        with lock:
            seen.extend(range(1000)[here])

    def fail(here: slice) -> None:
        raise ZeroDivisionError

    with torch_threads(3):
        threads.share_out(work, 1000, part=7)
        with pytest.raises(ZeroDivisionError):
            threads.share_out(fail, 1000, part=7)
    assert sorted(seen) == list(range(1000))


def test_threads_work_side_by_side() -> None:
    together = threading.Barrier(2)  # each waits for the other
    with torch_threads(2):
        threads.share_out(lambda here: together.wait(timeout=60) and None, 2, part=1)


PEAK = """
import re, sys, torch
from vqbench.ops import nearest_codeword

def status(name):
    return int(re.search(name + r":\\s+(\\d+) kB", open("/proc/self/status").read())[1]) / 1024

n, k, d = map(int, sys.argv[1:])
vectors, codebook = torch.randn(n, d), torch.randn(k, d)
nearest_codeword(vectors[:600], codebook[:600])  # compile first
open("/proc/self/clear_refs", "w").write("5")
before = status("VmRSS")
nearest_codeword(vectors, codebook)
print(status("VmHWM") - before)
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peak memory is read from Linux's /proc")
@pytest.mark.parametrize(("n", "k", "d"), [(2048, 1 << 18, 8), (512, 1 << 16, 256)])
def test_a_search_needs_at_most_64_megabytes(n: int, k: int, d: int) -> None:
    """All scores would be 2 GB and 128 MB, a copy of the second codebook 64 MB."""
    done = subprocess.run([sys.executable, "-c", PEAK, str(n), str(k), str(d)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) <= 64
