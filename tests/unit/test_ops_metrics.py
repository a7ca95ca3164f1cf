"""Every score of the searches against float64: offsets, scales, ties, zeros, and what they report."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import product

import pytest
import torch
from torch import Tensor

from vqbench.errors import ParameterError
from vqbench.ops import Nearest, nearest_codeword, nearest_gaussian, search
from vqbench.ops.scores import Cosine, Euclidean, Gaussian, InnerProduct, Score

METRICS = ("euclidean", "cosine", "inner")
SCORES = (*METRICS, "gaussian")


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def find(score: str, vectors: Tensor, codebook: Tensor, log_variance: float = 0.0, beta: float = 1.0) -> Tensor:
    if score == "gaussian":
        return nearest_gaussian(vectors, torch.full_like(vectors, log_variance), codebook, beta=beta)
    return nearest_codeword(vectors, codebook, metric=score)  # type: ignore[arg-type]


def energies(
    score: str, vectors: Tensor, codebook: Tensor, log_variance: float = 0.0, beta: float = 1.0
) -> tuple[Tensor, Tensor]:
    """What the best codeword makes smallest, ``(N, K)`` in float64, and the size of the terms that are summed for it."""
    z, c = vectors.double()[:, None], codebook.double()
    if score == "euclidean":
        terms = (z - c).square()
    elif score == "gaussian":
        terms = torch.stack(
            [(z - c).square() * math.exp(-log_variance), (-beta * c.square()).expand(len(z), -1, -1)], -1
        )
        terms = terms.flatten(2)
    else:
        terms = -z * c / (z.norm(dim=-1, keepdim=True) * c.norm(dim=-1, keepdim=True) if score == "cosine" else 1)
    return terms.sum(dim=-1), terms.abs().sum(dim=-1)


def assert_best(score: str, vectors: Tensor, codebook: Tensor, found: Tensor, **options: float) -> None:
    """The codeword found is the reference's wherever float64 can tell, and nowhere worse than it can tell."""
    energy, size = energies(score, vectors, codebook, **options)
    rounding = 1e-13 * size.amax(dim=1)
    two = energy.topk(2, dim=1, largest=False).values
    clear = two[:, 1] - two[:, 0] > 2 * rounding
    assert clear.float().mean() > 0.5
    assert torch.equal(found[clear], energy.argmin(dim=1)[clear])
    assert bool((energy.gather(1, found[:, None])[:, 0] - two[:, 0] <= rounding).all())


@pytest.mark.parametrize(("score", "dim"), [*product(SCORES, (2, 7, 64)), ("euclidean", 1), ("gaussian", 1)])
@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (1e3, 1.0), (-1e3, 0.1), (0.3, 1e-4)])
def test_an_offset_costs_no_accuracy(score: str, dim: int, mean: float, std: float) -> None:
    vectors, codebook = mean + std * normal(60, dim, seed=1), mean + std * normal(150, dim, seed=2)
    log_variance = 2 * math.log(std)
    found = find(score, vectors, codebook, log_variance=log_variance)
    assert_best(score, vectors, codebook, found, log_variance=log_variance)


def test_the_offsets_tried_are_beyond_plain_float32() -> None:
    vectors, codebook = 1e3 + normal(60, 64, seed=1), 1e3 + normal(150, 64, seed=2)
    half_squares = codebook.square().sum(dim=1) / 2
    plain = torch.addmm(half_squares, vectors, -codebook.T).argmin(dim=1)
    assert (plain != nearest_codeword(vectors, codebook)).float().mean() > 0.1


@pytest.mark.parametrize("score", SCORES)
def test_an_offset_leaves_few_decisions_to_float64(monkeypatch: pytest.MonkeyPatch, score: str) -> None:
    vectors, codebook = 1e3 + normal(60, 8, seed=1), 1e3 + normal(150, 8, seed=2)
    kind = {"euclidean": Euclidean, "cosine": Cosine, "inner": InnerProduct, "gaussian": Gaussian}[score]
    energy, compared = kind.energy, 0

    def counting(self: Score, words: Tensor, *queries: Tensor) -> Tensor:
        nonlocal compared
        compared += len(words)
        return energy(self, words, *queries)  # type: ignore[arg-type]

    monkeypatch.setattr(kind, "energy", counting)
    find(score, vectors, codebook)
    assert compared < 0.02 * 60 * 150
    codebook[75:] = codebook[:75]
    find(score, vectors, codebook)
    assert compared >= 120  # each winner and its double


@pytest.mark.parametrize(("score", "dim"), [*product(SCORES, (5,)), ("euclidean", 1), ("gaussian", 1)])
@pytest.mark.parametrize("of_codebook", [1e-37, 1e-20, 1e15, 1e36])
@pytest.mark.parametrize("of_vectors", [1.0, 30.0, 1e-5])
def test_no_scale_leaves_the_range_of_float32(score: str, dim: int, of_codebook: float, of_vectors: float) -> None:
    codebook = normal(100, dim, seed=1) * of_codebook
    vectors = normal(40, dim, seed=2) * of_codebook * of_vectors
    log_variance = 2 * math.log(of_codebook)
    beta = 0.5 * math.exp(-log_variance)
    found = find(score, vectors, codebook, log_variance=log_variance, beta=beta)
    assert_best(score, vectors, codebook, found, log_variance=log_variance, beta=beta)


def test_vectors_far_beyond_all_codewords_go_by_direction() -> None:
    codebook = normal(200, 4, seed=1) * 1e-12
    vectors = normal(50, 4, seed=2) * 1e30
    assert torch.equal(nearest_codeword(vectors, codebook), nearest_codeword(vectors, codebook, metric="inner"))


def test_a_vanishing_variance_does_not_overflow() -> None:
    vectors, codebook = normal(50, 4, seed=1), normal(100, 4, seed=2)
    for dim in (1, 4):
        found = find("gaussian", vectors[:, :dim], codebook[:, :dim], log_variance=-1000.0)
        assert torch.equal(found, nearest_codeword(vectors[:, :dim], codebook[:, :dim]))


def exact_best(metric: str, vector: list[int], codebook: list[list[int]]) -> int:
    """The lowest index of a best codeword, in rational arithmetic."""

    def energy(word: list[int]) -> Fraction:
        inner = sum(a * b for a, b in zip(vector, word, strict=True))
        if metric == "euclidean":
            return Fraction(sum((a - b) ** 2 for a, b in zip(vector, word, strict=True)))
        squares = sum(a * a for a in word)
        return Fraction(-inner) if metric == "inner" else Fraction(-inner * abs(inner), squares or 1)

    return min(range(len(codebook)), key=lambda k: energy(codebook[k]))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dim", [1, 3])
def test_ties_on_a_lattice_go_to_the_lowest_index(metric: str, dim: int) -> None:
    lattice = [list(point) for point in product((-3, 0, 1, 2), repeat=dim)]
    order = torch.randperm(len(lattice), generator=torch.Generator().manual_seed(0))
    codebook = [lattice[k] for k in order] + lattice + [[3 * x for x in point] for point in lattice]  # of one direction
    found = find(metric, torch.tensor(lattice).float(), torch.tensor(codebook).float())
    assert found.tolist() == [exact_best(metric, vector, codebook) for vector in lattice]


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("dim", [1, 3, 33])
def test_of_equal_codewords_the_first_one_is_found(score: str, dim: int) -> None:
    vectors, codebook = normal(40, dim, seed=1), normal(70, dim, seed=2)
    assert torch.equal(find(score, vectors, codebook.repeat(5, 1)), find(score, vectors, codebook))


@pytest.mark.parametrize("dim", [1, 3])
def test_the_cosine_with_zero_is_zero(dim: int) -> None:
    codebook = torch.tensor([[-2.0], [0.0], [1.0], [-1.0]]).expand(4, dim)
    vectors = torch.tensor([[0.0], [1.0], [-1.0]]).expand(3, dim)
    found = nearest_codeword(vectors, codebook, metric="cosine", details=True)
    assert found.indices.tolist() == [0, 2, 0]
    torch.testing.assert_close(found.scores, torch.tensor([0.0, 1.0, 1.0]))
    opposite = nearest_codeword(vectors, -codebook.abs()[:2], metric="cosine", details=True)
    assert opposite.indices.tolist() == [0, 1, 0]  # the zero codeword is better than the opposite one
    assert opposite.scores[1] == 0


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dim", [1, 6])
def test_details_are_the_score_in_float64_and_the_row(metric: str, dim: int) -> None:
    vectors, codebook = normal(2, 20, dim, seed=1), normal(30, dim, seed=2)
    found = nearest_codeword(vectors, codebook, metric=metric, details=True)  # type: ignore[call-overload]
    assert isinstance(found, Nearest)
    assert torch.equal(found.indices, find(metric, vectors, codebook))
    assert torch.equal(found.codewords, codebook[found.indices])
    energy = energies(metric, vectors.flatten(0, 1), codebook)[0].view(2, 20, 30)
    best = energy.amin(dim=-1) * (1 if metric == "euclidean" else -1)
    assert found.scores.dtype == torch.float32
    torch.testing.assert_close(found.scores, best.float(), rtol=1e-6, atol=0.0)


@pytest.mark.parametrize("beta", [0.0, 1.0, 0.3])
@pytest.mark.parametrize("dim", [1, 6])
def test_the_score_of_a_posterior_is_its_log_ratio_to_the_prior(beta: float, dim: int) -> None:
    means, log_variances, codebook = normal(20, dim, seed=1), normal(20, dim, seed=2), normal(30, dim, seed=3)
    found = nearest_gaussian(means, log_variances, codebook, beta=beta, details=True)
    posterior = torch.distributions.Normal(means.double()[:, None], (log_variances.double() / 2).exp()[:, None])
    prior = torch.distributions.Normal(torch.zeros((), dtype=torch.float64), 1.0)
    words = codebook.double()
    scores = (posterior.log_prob(words) - beta * prior.log_prob(words)).sum(dim=-1)
    torch.testing.assert_close(found.scores, scores.amax(dim=1).float(), rtol=1e-6, atol=1e-6)
    assert torch.equal(found.indices, scores.argmax(dim=1))
    assert torch.equal(found.codewords, codebook[found.indices])


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("size", [1, 24, 1000])
def test_blocks_and_tiles_change_nothing(monkeypatch: pytest.MonkeyPatch, score: str, size: int) -> None:
    vectors, codebook = normal(23, 3, seed=1), normal(40, 3, seed=2)
    codebook[25:] = codebook[:15]
    whole = find(score, vectors, codebook)
    monkeypatch.setitem(search.BLOCK_NUMBERS, "cpu", size)
    monkeypatch.setitem(search.TILE_NUMBERS, "cpu", size)
    assert torch.equal(find(score, vectors, codebook), whole)
    assert int(whole.max()) < 25


@pytest.mark.parametrize("score", SCORES)
def test_neither_threads_nor_batches_change_anything(score: str) -> None:
    vectors, codebook = normal(3000, 8, seed=1), normal(300, 8, seed=2)
    codebook[150:] = codebook[:150]
    threads, found = torch.get_num_threads(), []
    try:
        for number in (1, 2):
            torch.set_num_threads(number)
            found.append(find(score, vectors, codebook))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(found[0], found[1])
    assert torch.equal(torch.cat([find(score, part, codebook) for part in vectors[:50].split(1)]), found[0][:50])


@pytest.mark.parametrize("score", SCORES)
def test_settings_outside_do_not_reach_a_search(score: str) -> None:
    vectors, codebook = 30 + normal(200, 8, seed=1), 30 + normal(100, 8, seed=2)
    expected, before = find(score, vectors, codebook), torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(find(score, vectors, codebook), expected)
    finally:
        torch.set_float32_matmul_precision(before)


def test_an_unknown_metric_is_refused_with_those_there_are() -> None:
    with pytest.raises(ParameterError, match="euclidean or cosine or inner"):
        nearest_codeword(torch.zeros(1, 2), torch.zeros(1, 2), metric="manhattan")  # type: ignore[call-overload]
