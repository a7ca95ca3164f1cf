"""The codeword searches: exactness, ties, memory, and what they refuse."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from vqbench.errors import ParameterError, TensorError
from vqbench.ops import affine, cpu, nearest_codeword, nearest_gaussian, tiled
from vqbench.ops.affine import AffineSearch
from vqbench.ops.precision import true_float32
from vqbench.testing.allocations import Allocations


def euclidean(vectors: Tensor, codebook: Tensor) -> Tensor:
    """All squared distances (N, K) in float64."""
    return (vectors.double()[:, None] - codebook.double()).square().sum(dim=-1)


def energies(means: Tensor, log_variances: Tensor, codebook: Tensor, beta: float) -> Tensor:
    """All negative Gaussian scores (N, K) in float64."""
    words = codebook.double()
    distance = (words - means.double()[:, None]).square() * torch.exp(-log_variances.double())[:, None]
    return (distance - beta * words.square()).sum(dim=-1)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@settings(max_examples=60)
@given(
    n=st.integers(1, 9),
    k=st.integers(1, 40),
    d=st.integers(1, 6),
    seed=st.integers(0, 2**32),
    offset=st.sampled_from([0.0, 1.0, 100.0, 1e4]),
    spread=st.sampled_from([1e-4, 1.0, 1e3]),
)
def test_the_nearest_codeword_is_that_of_float64(
    n: int, k: int, d: int, seed: int, offset: float, spread: float
) -> None:
    generator = seeded(seed)
    vectors = torch.randn(n, d, generator=generator) + offset
    codebook = torch.randn(k, d, generator=generator) * spread + offset
    assert torch.equal(nearest_codeword(vectors, codebook), euclidean(vectors, codebook).argmin(dim=1))


@settings(max_examples=80)
@given(
    n=st.integers(1, 9),
    k=st.integers(1, 40),
    m=st.integers(1, 5),
    beta=st.sampled_from([0.0, 0.5, 1.0, 2.0, -1.0]),
    seed=st.integers(0, 2**32),
    log_variance=st.sampled_from([-30.0, -8.0, -1.0, 0.0, 1.0, 20.0]),
)
def test_the_best_gaussian_codeword_is_that_of_float64(
    n: int, k: int, m: int, beta: float, seed: int, log_variance: float
) -> None:
    generator = seeded(seed)
    means = torch.randn(n, m, generator=generator)
    log_variances = torch.randn(n, m, generator=generator) + log_variance
    codebook = torch.randn(k, m, generator=generator)
    found = nearest_gaussian(means, log_variances, codebook, beta=beta)
    score = energies(means, log_variances, codebook, beta)
    least = score.amin(dim=1)
    # the terms' own rounding in float64 may reorder scores that agree to 13 digits
    assert torch.allclose(score.gather(1, found[:, None])[:, 0], least, rtol=1e-12, atol=1e-12)
    clear = (score <= least[:, None] + 1e-9 * least.abs()[:, None] + 1e-9).sum(dim=1) == 1
    assert torch.equal(found[clear], score.argmin(dim=1)[clear])


@pytest.mark.parametrize("dim", [1, 4])
def test_equal_codewords_go_to_the_lowest_index(dim: int) -> None:
    codebook = torch.randn(50, dim, generator=seeded(0)).repeat(40, 1)
    vectors = torch.randn(300, dim, generator=seeded(1))
    assert torch.equal(nearest_codeword(vectors, codebook), nearest_codeword(vectors, codebook[:50]))
    log_variances = torch.zeros(300, dim)
    assert torch.equal(
        nearest_gaussian(vectors, log_variances, codebook), nearest_gaussian(vectors, log_variances, codebook[:50])
    )


@pytest.mark.parametrize("dim", [1, 3])
def test_a_vector_midway_goes_to_the_lower_index(dim: int) -> None:
    codebook = torch.tensor([3.0, -1.0, 1.0])[:, None].expand(3, dim)
    assert nearest_codeword(torch.zeros(1, dim), codebook).tolist() == [1]
    assert nearest_codeword(torch.full((1, dim), 2.0), codebook).tolist() == [0]


def test_decisions_closer_than_float32_are_made_in_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    decided = 0
    decide = AffineSearch.decide

    def counting(self: AffineSearch, names: Tensor, guess: Tensor) -> Tensor:
        nonlocal decided
        decided += len(names)
        return decide(self, names, guess)

    monkeypatch.setattr(AffineSearch, "decide", counting)
    monkeypatch.setattr(cpu, "first_pass", tiled.first_pass)
    # a fine two-dimensional codebook: for a good part of the rows float32 cannot tell the winner
    codebook = torch.randn(20000, 2, generator=seeded(0))
    vectors = torch.randn(300, 2, generator=seeded(1))
    assert torch.equal(nearest_codeword(vectors, codebook), euclidean(vectors, codebook).argmin(dim=1))
    assert decided > 30
    for beta in (0.0, 1.0, 30.0):
        decided = 0
        log_variances = torch.randn(300, 2, generator=seeded(2)) - 8
        found = nearest_gaussian(vectors, log_variances, codebook, beta=beta)
        assert torch.equal(found, energies(vectors, log_variances, codebook, beta).argmin(dim=1))
        assert decided > 30


@pytest.mark.parametrize("columns", [100, 16384])
@pytest.mark.parametrize("dim", [1, 16])
def test_a_standard_posterior_scores_all_codewords_alike(
    monkeypatch: pytest.MonkeyPatch, dim: int, columns: int
) -> None:
    monkeypatch.setattr(affine, "TILE_COLUMNS", columns)
    codebook = torch.randn(3000, dim, generator=seeded(0))
    zeros = torch.zeros(20, dim)
    assert nearest_gaussian(zeros, zeros, codebook, beta=1.0).tolist() == [0] * 20


def test_equal_codewords_all_through_do_not_need_more_memory_than_a_tile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(affine, "PAIR_NUMBERS", 64)
    assert nearest_codeword(torch.randn(5, 4, generator=seeded(0)), torch.ones(200, 4)).tolist() == [0] * 5


@pytest.mark.parametrize(
    ("index", "euclid"), [(0, 0), (1, 5), (2, 0), (3, 7), (4, 2), (5, 0), (6, 1), (7, 3)], ids=lambda v: str(v)
)
def test_worked_example_of_the_euclidean_column(index: int, euclid: int) -> None:
    codebook = torch.tensor(
        [
            [-0.06244, 0.23404],
            [0.19873, -1.78511],
            [1.65138, 1.09091],
            [-1.17270, -0.63891],
            [-0.78938, 1.94616],
            [1.05269, -0.24431],
            [0.64978, 0.51137],
            [-0.48394, -0.94449],
        ]
    )
    means = [(0, 0), (1, 0), (-1, 0.5), (0.3, -0.7), (2, 2), (-0.2, 0.1), (0.9, -1.4), (-2.5, 0)]
    mean = torch.tensor([means[index]], dtype=torch.float32)
    assert nearest_codeword(mean, codebook).item() == euclid
    # a vanishing variance makes every beta the plain nearest codeword
    for beta in (0.0, 0.5, 1.0):
        assert nearest_gaussian(mean, torch.full((1, 2), -30.0), codebook, beta=beta).item() == euclid


@pytest.mark.parametrize("dim", [1, 4])
def test_no_matrix_of_all_scores_is_ever_made(dim: int) -> None:
    n, k = 3000, 3000
    vectors, codebook = torch.randn(n, dim, generator=seeded(0)), torch.randn(k, dim, generator=seeded(1))
    with Allocations() as watch:
        nearest_codeword(vectors, codebook)
        nearest_gaussian(vectors, torch.zeros(n, dim), codebook)
    assert 0 < watch.largest <= 1 << 23 < 4 * n * k


def test_autocast_and_reduced_precision_do_not_reach_the_search() -> None:
    vectors = torch.randn(200, 8, generator=seeded(0)) + 10
    codebook = torch.randn(100, 8, generator=seeded(1)) + 10
    exact = euclidean(vectors, codebook).argmin(dim=1)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(nearest_codeword(vectors, codebook), exact)
        with true_float32(torch.device("cpu")):
            if hasattr(torch.backends.cuda.matmul, "fp32_precision"):  # torch >= 2.9
                assert torch.backends.cuda.matmul.fp32_precision == "ieee"
            else:
                assert torch.get_float32_matmul_precision() == "highest"
            with pytest.raises(ZeroDivisionError), true_float32(torch.device("cpu")):
                raise ZeroDivisionError
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)


def test_half_precision_is_widened() -> None:
    vectors, codebook = torch.randn(40, 4, generator=seeded(0)).bfloat16(), torch.randn(30, 4, generator=seeded(1))
    assert torch.equal(nearest_codeword(vectors, codebook), nearest_codeword(vectors.float(), codebook))


@pytest.mark.parametrize("dim", [3, 20, 60])
@pytest.mark.parametrize("number", [5, 3000])  # the second in several threads
def test_no_gradient_is_recorded_and_no_input_changed(number: int, dim: int) -> None:
    vectors = torch.randn(number, dim, generator=seeded(0)).requires_grad_()
    codebook = torch.randn(40, dim, generator=seeded(1)).requires_grad_()
    copies = vectors.clone(), codebook.clone()
    assert not nearest_codeword(vectors, codebook).requires_grad
    assert not nearest_gaussian(vectors, vectors, codebook).requires_grad
    assert torch.equal(vectors, copies[0])
    assert torch.equal(codebook, copies[1])


def test_nothing_to_search_for_gives_nothing() -> None:
    assert nearest_codeword(torch.empty(0, 3), torch.randn(4, 3)).shape == (0,)
    assert nearest_gaussian(torch.empty(0, 1), torch.empty(0, 1), torch.randn(4, 1)).shape == (0,)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
@pytest.mark.parametrize("dim", [1, 3])
def test_values_that_are_not_finite_are_refused_where_asked(bad: float, dim: int) -> None:
    vectors, codebook = torch.zeros(4, dim), torch.randn(5, dim, generator=seeded(0))
    vectors[2] = bad
    for search in (nearest_codeword, lambda v, c, check=False: nearest_gaussian(v, v, c, check=check)):
        with pytest.raises(TensorError, match="NaN or infinity"):
            search(vectors, codebook, check=True)
        with pytest.raises(TensorError, match="NaN or infinity"):
            search(torch.zeros(4, dim), torch.full_like(codebook, bad), check=True)
        indices = search(vectors, codebook)
        assert bool(((indices >= 0) & (indices < 5)).all())


@pytest.mark.parametrize(
    ("vectors", "codebook", "message"),
    [
        (torch.zeros(3, 2), torch.zeros(4, 3), "wrong shape"),
        (torch.zeros(3), torch.zeros(4, 3), "wrong shape"),
        (torch.zeros(3, 2), torch.zeros(0, 2), "codebook has the wrong shape"),
        (torch.zeros(3, 0), torch.zeros(4, 0), "codebook has the wrong shape"),
        (torch.zeros(3, 2).long(), torch.zeros(4, 2), "wrong dtype"),
        (torch.zeros(3, 2), torch.zeros(4, 2).double(), "wrong dtype"),
        (torch.zeros(3, 2), torch.zeros(4, 2, device="meta"), "different devices"),
    ],
)
def test_wrong_tensors_are_refused(vectors: Tensor, codebook: Tensor, message: str) -> None:
    with pytest.raises(TensorError, match=message):
        nearest_codeword(vectors, codebook)
    with pytest.raises(TensorError, match=message):
        nearest_gaussian(vectors, vectors, codebook)


def test_means_and_log_variances_must_agree_and_beta_be_a_number() -> None:
    with pytest.raises(TensorError, match="differ in shape"):
        nearest_gaussian(torch.zeros(3, 2), torch.zeros(4, 2), torch.zeros(4, 2))
    with pytest.raises(ParameterError, match="finite"):
        nearest_gaussian(torch.zeros(3, 2), torch.zeros(3, 2), torch.zeros(4, 2), beta=float("nan"))
