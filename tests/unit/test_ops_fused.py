"""The fused search for the two smallest scores: on a CUDA device where there is one, else in Triton's interpreter.

Triton decides at import whether it interprets. So without a CUDA device the tests of the kernels are skipped here, and
the last test runs them in a process of their own.
"""

from __future__ import annotations

import importlib.util
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from vqbench.ops.fused import available, error_bound, two_smallest, why_unavailable
from vqbench.testing.allocations import Allocations

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = torch.device("cuda" if torch.cuda.is_available() and not INTERPRETED else "cpu")
needs_kernels = pytest.mark.skipif(not available(DEVICE), reason=f"{why_unavailable(DEVICE)}")


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(DEVICE)


def exact(rows: Tensor, codes: Tensor, bias: Tensor) -> Tensor:
    """All scores (N, K) in float64."""
    return rows.double() @ codes.double().T + bias.double()


def allowed(rows: Tensor, codes: Tensor, bias: Tensor) -> Tensor:
    """The error that each row's scores may have: (N,)."""
    longest = codes.double().norm(dim=1).max()
    return error_bound(codes.shape[1]) * (rows.double().norm(dim=1) * longest + bias.double().abs().max())


def check(rows: Tensor, codes: Tensor, bias: Tensor, **options: int) -> None:
    best, runner_up, index = two_smallest(rows, codes, bias, **options)
    scores, error = exact(rows, codes, bias), allowed(rows, codes, bias)
    assert best.dtype == runner_up.dtype == torch.float32
    assert index.dtype == torch.int64
    assert bool(((index >= 0) & (index < len(codes))).all())
    chosen = scores.gather(1, index[:, None])[:, 0]
    assert bool(((best - chosen).abs() <= error).all())  # it is that codeword's score
    others = scores.scatter(1, index[:, None], torch.inf).amin(dim=1)
    if len(codes) == 1:
        assert bool((runner_up == torch.inf).all())
    else:
        assert bool(((runner_up - others).abs() <= error).all())
    assert bool((chosen - scores.amin(dim=1) <= 2 * error).all())
    clear = others - chosen > 2 * error
    assert torch.equal(index[clear], scores.argmin(dim=1)[clear])


@needs_kernels
@pytest.mark.parametrize("offset", [0.0, 100.0])
@pytest.mark.parametrize(
    ("n", "k", "d"), [(1, 1, 1), (3, 2, 2), (70, 65, 3), (130, 129, 17), (5, 260, 32), (64, 64, 64), (20, 130, 70)]
)
def test_scores_and_winner_are_those_of_float64_within_the_bound(n: int, k: int, d: int, offset: float) -> None:
    check(drawn(n, d) + offset, drawn(k, d, seed=1) + offset, drawn(k, seed=2))


@needs_kernels
@pytest.mark.parametrize("tiling", range(7))
def test_the_tiling_changes_nothing_beyond_rounding(tiling: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from vqbench.ops import fused_kernels

    assert len(fused_kernels.TILINGS) == 7
    monkeypatch.setattr(fused_kernels.scan, "configs", fused_kernels.TILINGS[tiling : tiling + 1])
    check(drawn(70, 3), drawn(300, 3, seed=1), drawn(300, seed=2))


@needs_kernels
def test_numbers_of_very_different_size_stay_within_the_bound() -> None:
    rows, codes = drawn(20, 24), drawn(100, 24, seed=1)
    sizes = torch.logspace(-12, 3, 24).to(DEVICE)
    check(rows * sizes, codes * sizes.flip(0), drawn(100, seed=2))
    check(rows * torch.logspace(-20, 20, 20).to(DEVICE)[:, None], codes, torch.zeros(100, device=DEVICE))
    check(rows, codes * torch.logspace(-9, 9, 100).to(DEVICE)[:, None], drawn(100, seed=2))


@needs_kernels
@pytest.mark.parametrize(("of_rows", "of_codes"), [(60, -40), (-90, 80), (110, -100)])
def test_a_power_of_two_changes_no_digit(of_rows: int, of_codes: int) -> None:
    rows, codes, bias = drawn(9, 8), drawn(100, 8, seed=1), drawn(100, seed=2)
    best, runner_up, index = two_smallest(rows, codes, bias)
    factor = 2.0 ** (of_rows + of_codes)
    scaled = two_smallest(rows * 2.0**of_rows, codes * 2.0**of_codes, bias * factor)
    assert torch.equal(scaled[0], best * factor)
    assert torch.equal(scaled[1], runner_up * factor)
    assert torch.equal(scaled[2], index)


@needs_kernels
def test_equal_scores_go_to_the_lowest_index_and_tie_the_runner_up() -> None:
    codes = (
        torch.arange(1, 9, device=DEVICE).float()[:, None].expand(8, 3).repeat(70, 1)
    )  # 560: in every tile and group
    rows = torch.tensor([[-1.0, -1, -1], [1, 1, 1], [0, 0, 0]], device=DEVICE)  # every score is exact
    for parts in (1, 2):
        best, runner_up, index = two_smallest(rows, codes, torch.zeros(len(codes), device=DEVICE), parts=parts)
        assert best.tolist() == runner_up.tolist() == [-24, 3, 0]
        assert index.tolist() == [7, 0, 0]


@needs_kernels
def test_every_place_of_a_tile_can_win() -> None:
    k = 130
    codes = torch.eye(k, device=DEVICE)[torch.randperm(k, generator=torch.Generator().manual_seed(0))]
    bias = torch.linspace(0, 1e-3, k, device=DEVICE)
    best, runner_up, index = two_smallest(-codes, codes, bias)  # row n scores -1 at codeword n, 0 elsewhere
    assert index.tolist() == list(range(k))
    torch.testing.assert_close(best, bias - 1)
    assert runner_up.tolist() == [bias[1].item()] + [0.0] * (k - 1)


@needs_kernels
def test_parts_views_and_blocks_of_rows_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    from vqbench.ops import fused_kernels

    rows, codes, bias = drawn(70, 5), drawn(600, 5, seed=1), drawn(600, seed=2)
    best, runner_up, index = two_smallest(rows, codes, bias, parts=1)

    def same(found: tuple[Tensor, Tensor, Tensor]) -> bool:
        return all(map(torch.equal, found, (best, runner_up, index)))

    assert same(two_smallest(rows, codes, bias, parts=3))
    assert same(two_smallest(rows.T.contiguous().T, codes.repeat(1, 2)[:, ::2][:, [0, 3, 1, 4, 2]], bias, parts=99))
    monkeypatch.setattr(fused_kernels, "HALVES_BYTES", 64 * 16 * 4)  # 64 rows
    assert same(two_smallest(rows, codes, bias))


@needs_kernels
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's, of the interpreter
@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_a_row_that_is_not_finite_gets_some_index_and_disturbs_no_other(bad: float) -> None:
    rows, codes, bias = drawn(70, 6), drawn(90, 6, seed=1), drawn(90, seed=2)
    clean = two_smallest(rows, codes, bias)
    rows[3, 1] = rows[66] = bad
    found = two_smallest(rows, codes, bias)
    assert bool(((found[2] >= 0) & (found[2] < 90)).all())
    others = [n for n in range(70) if n not in (3, 66)]
    for before, after in zip(clean, found, strict=True):
        assert torch.equal(before[others], after[others])
    index = two_smallest(rows, torch.full_like(codes, bad), bias)[2]
    assert bool(((index >= 0) & (index < 90)).all())


@needs_kernels
def test_no_rows_give_no_results() -> None:
    results = two_smallest(drawn(0, 4), drawn(5, 4), drawn(5))
    assert [len(result) for result in results] == [0, 0, 0]


@needs_kernels
def test_no_matrix_of_all_scores_is_ever_made() -> None:
    rows, codes, bias = drawn(128, 4), drawn(256, 4, seed=1), drawn(256, seed=2)
    with Allocations() as watch:
        two_smallest(rows, codes, bias)
    assert 0 < watch.largest <= 4 * 128 * 256 // 2


@pytest.mark.parametrize("dim", [1, 2, 5, 16, 32, 64, 130])
def test_the_bound_covers_a_tensor_core_that_cuts_every_sum(dim: int) -> None:
    """The arithmetic that the bound assumes, in float64: blocks of four products, no digit kept beyond 24 bits."""
    generator = torch.Generator().manual_seed(dim)
    a, b = 1 + torch.rand(2, 160, dim, generator=generator)  # positive: all the cuts go one way
    a[40:80] *= torch.randn(40, dim, generator=generator).sign()
    a[80:120] *= torch.logspace(0, -6, dim)
    a[120:, 1:] = b[120:, 1:] = math.sqrt(0.99 * 2**-23)  # products that are cut off one by one
    a[120:, 0] = b[120:, 0] = 1

    def halves(vectors: Tensor) -> tuple[Tensor, Tensor]:
        scaled = vectors * 2.0 ** (14 - vectors.abs().amax(dim=1, keepdim=True).log2().floor())
        high = scaled.half()
        return high.double(), (scaled - high).half().double()

    def cut(terms: Tensor, largest: Tensor) -> Tensor:
        quantum = 2.0 ** (largest.clamp(min=1e-30).log2().floor() - 23)
        return (terms / quantum).trunc() * quantum

    (a_high, a_low), (b_high, b_low) = halves(a), halves(b)
    total = torch.zeros(160, dtype=torch.float64)
    for chunk in torch.arange(dim).split(64):
        running = torch.zeros(160, dtype=torch.float64)
        for left, right in ((a_low, b_high), (a_high, b_low), (a_high, b_high)):
            for block in chunk.split(4):
                terms = torch.cat([running[:, None], left[:, block] * right[:, block]], dim=1)
                summed = cut(terms, terms.abs().amax(dim=1, keepdim=True)).sum(dim=1)
                running = cut(summed, summed.abs())
        total = (total + running).float().double()
    scale = 2.0 ** (28 - a.abs().amax(dim=1).log2().floor() - b.abs().amax(dim=1).log2().floor())
    truth = (a.double() * b.double()).sum(dim=1)
    worst = float(((total / scale - truth).abs() / (a.double().norm(dim=1) * b.double().norm(dim=1))).max())
    assert worst <= error_bound(dim)
    if dim in (16, 32, 64):
        assert worst > error_bound(dim) / 3  # nor is it idle


def test_without_a_cuda_device_or_triton_the_reason_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    assert why_unavailable(torch.device("cpu")) == "the fused search needs a CUDA device, not cpu"
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert not available(torch.device("cuda", 0))
    assert why_unavailable(torch.device("cuda", 0)) == "the fused search needs Triton, which is not installed"


@pytest.mark.skipif(available(DEVICE), reason="the kernels ran above")
@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is not installed")
def test_the_kernels_pass_their_tests_in_the_interpreter() -> None:
    kernels_only = "not tensor_core and not reason_is_said and not interpreter"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__, "-k", kernels_only]
    environment = os.environ | {"TRITON_INTERPRET": "1"}
    done = subprocess.run(
        command, cwd=Path(__file__).parents[2], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout
