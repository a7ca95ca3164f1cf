"""The shapes a search takes: leading dimensions, groups, residual stages, any layout in memory, nothing at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from vqbench.errors import TensorError
from vqbench.ops import nearest_codeword, nearest_gaussian, nearest_residual, search
from vqbench.testing.allocations import Allocations

SEARCHES: dict[str, Callable[..., Any]] = {
    "euclidean": nearest_codeword,
    "cosine": lambda *tensors, **options: nearest_codeword(*tensors, metric="cosine", **options),
    "inner": lambda *tensors, **options: nearest_codeword(*tensors, metric="inner", **options),
    "gaussian": lambda vectors, book, **options: nearest_gaussian(vectors, vectors, book, **options),
}
every_search = pytest.mark.parametrize("find", SEARCHES.values(), ids=SEARCHES.keys())


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@every_search
@pytest.mark.parametrize("dim", [1, 3])
@pytest.mark.parametrize("lead", [(2, 7), (3, 1, 5), (1, 1), (2, 0, 3), (0,), (1,)], ids=str)
def test_leading_dimensions_stay(find: Callable[..., Any], lead: tuple[int, ...], dim: int) -> None:
    vectors, codebook = normal(*lead, dim, seed=1), normal(11, dim, seed=2)
    found = find(vectors, codebook, details=True)
    assert found.indices.shape == found.scores.shape == lead
    assert found.indices.dtype == torch.int64
    assert found.scores.dtype == torch.float32
    assert found.codewords.shape == (*lead, dim)
    assert torch.equal(found.indices.flatten(), find(vectors.reshape(-1, dim), codebook))


@every_search
@pytest.mark.parametrize("dim", [1, 3])
@pytest.mark.parametrize("groups", [1, 4])
def test_each_group_has_its_own_codebook(find: Callable[..., Any], groups: int, dim: int) -> None:
    vectors, codebook = normal(groups, 9, dim, seed=1), normal(groups, 11, dim, seed=2)
    found = find(vectors, codebook, details=True)
    for group in range(groups):
        alone = find(vectors[group], codebook[group], details=True)
        assert all(torch.equal(of_all[group], of_one) for of_all, of_one in zip(found, alone, strict=True))
    assert torch.equal(find(vectors, codebook), found.indices)


@every_search
@pytest.mark.parametrize("block", [1, 40, 1 << 20])
def test_the_layout_in_memory_does_not_matter(
    monkeypatch: pytest.MonkeyPatch, find: Callable[..., Any], block: int
) -> None:
    maps, table = normal(3, 6, 4, 5, seed=1), normal(6, 22, seed=2)
    vectors, codebook = maps.movedim(1, -1), table.T[::2]
    assert not vectors.is_contiguous()
    assert not codebook.is_contiguous()
    expected = find(vectors.contiguous(), codebook.contiguous())
    monkeypatch.setitem(search.BLOCK_NUMBERS, "cpu", block)
    assert torch.equal(find(vectors, codebook), expected)


@every_search
def test_maps_are_not_copied_whole(monkeypatch: pytest.MonkeyPatch, find: Callable[..., Any]) -> None:
    monkeypatch.setitem(search.BLOCK_NUMBERS, "cpu", 1 << 10)
    vectors, codebook = normal(64, 32, 8, 8, seed=1).movedim(1, -1), normal(16, 32, seed=2)
    with Allocations() as watch:
        find(vectors, codebook)
        nearest_residual(vectors, codebook[None].expand(2, 16, 32))
    assert watch.largest <= 8 * vectors.numel() // 16


@every_search
@pytest.mark.parametrize("dim", [1, 4])
def test_of_one_codeword_it_is_that_one(find: Callable[..., Any], dim: int) -> None:
    assert find(normal(1, dim, seed=1), normal(1, dim, seed=2)).tolist() == [0]


def stage_by_stage(vectors: Tensor, codebooks: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """Codes and squared distances ``(N,)`` of each stage, with all distances in float64 and residuals in float32."""
    residual, codes, scores = vectors.float(), list[Tensor](), list[Tensor]()
    for words in codebooks:
        distances = (residual.double()[:, None] - words.double()).square().sum(dim=-1)
        codes.append(distances.argmin(dim=1))
        scores.append(distances.amin(dim=1))
        residual = residual - words[codes[-1]]
    return codes, scores


@pytest.mark.parametrize("sizes", [(16, 16, 16), (5, 40, 1)])
@pytest.mark.parametrize("dim", [1, 6])
@pytest.mark.parametrize("block", [1, 100, 1 << 20])
def test_a_residual_stage_searches_what_the_ones_before_left(
    monkeypatch: pytest.MonkeyPatch, sizes: tuple[int, ...], dim: int, block: int
) -> None:
    monkeypatch.setitem(search.BLOCK_NUMBERS, "cpu", block)
    vectors = 3 * normal(4, 8, dim, seed=1)
    codebooks = [normal(size, dim, seed=stage) / (1 + stage) for stage, size in enumerate(sizes)]
    codes, scores = stage_by_stage(vectors.flatten(0, 1), codebooks)
    found = nearest_residual(vectors, codebooks, details=True)
    assert torch.equal(found.indices, torch.stack(codes, dim=-1).view(4, 8, 3))
    torch.testing.assert_close(found.scores, torch.stack(scores, dim=-1).float().view(4, 8, 3))
    for stage, words in enumerate(codebooks):
        assert torch.equal(found.codewords[..., stage, :], words[found.indices[..., stage]])
    same = torch.stack(codebooks) if len(set(sizes)) == 1 else tuple(codebooks)
    assert torch.equal(nearest_residual(vectors, same), found.indices)


def test_residuals_of_nothing_are_nothing() -> None:
    found = nearest_residual(torch.empty(2, 0, 3), normal(4, 5, 3, seed=1), details=True)
    assert found.indices.shape == found.scores.shape == (2, 0, 4)
    assert found.codewords.shape == (2, 0, 4, 3)


def test_half_precision_is_widened_and_its_codewords_are_given_back() -> None:
    vectors, codebook = normal(40, 4, seed=1).half(), normal(3, 30, 4, seed=2).bfloat16()
    found = nearest_codeword(vectors, codebook[0], metric="inner", details=True)
    assert torch.equal(found.indices, nearest_codeword(vectors.float(), codebook[0].float(), metric="inner"))
    assert found.codewords.dtype == torch.bfloat16
    assert torch.equal(nearest_residual(vectors, codebook), nearest_residual(vectors.float(), codebook.float()))


@every_search
@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("dim", [1, 3])
def test_values_that_are_not_finite_are_refused_where_asked(find: Callable[..., Any], bad: float, dim: int) -> None:
    vectors, codebook = torch.zeros(2, 4, dim), normal(2, 5, dim, seed=1)
    find(vectors, codebook, check=True)
    vectors[1, 2, 0] = bad
    with pytest.raises(TensorError, match="NaN or infinity"):
        find(vectors, codebook, check=True)
    with pytest.raises(TensorError, match="NaN or infinity"):
        find(codebook, vectors, check=True)
    with pytest.raises(TensorError, match="NaN or infinity"):
        nearest_residual(vectors, codebook, check=True)
    for indices in (find(vectors, codebook), find(codebook, vectors), nearest_residual(vectors, codebook)):
        assert bool(((indices >= 0) & (indices < 5)).all())


@pytest.mark.parametrize(
    ("vectors", "codebook", "message"),
    [
        ((3, 2), (2, 4, 2), r"vectors have the wrong shape: got \(3, 2\), expected \(2, N, 2\)"),
        ((3, 5, 2), (2, 4, 2), "vectors have the wrong shape"),
        ((2, 5, 3), (2, 4, 2), "vectors have the wrong shape"),
        ((2, 1, 5, 2), (2, 4, 2), "vectors have the wrong shape"),
        ((0, 5, 2), (0, 4, 2), "codebook has the wrong shape"),
        ((3, 2), (2,), r"codebook has the wrong shape: got \(2,\), expected \(K, d\) or \(G, K, d\)"),
        ((2,), (3, 2), "vectors have the wrong shape"),
    ],
)
def test_groups_that_do_not_fit_are_refused(vectors: tuple[int, ...], codebook: tuple[int, ...], message: str) -> None:
    with pytest.raises(TensorError, match=message):
        nearest_codeword(torch.zeros(vectors), torch.zeros(codebook))


@pytest.mark.parametrize(
    ("codebooks", "message"),
    [
        ([], "no codebooks"),
        (torch.zeros(0, 4, 2), "no codebooks"),
        (torch.zeros(4, 2), r"codebook has the wrong shape: got \(2,\), expected \(K, d\)"),
        ([torch.zeros(4, 2), torch.zeros(4, 3)], "vectors have the wrong shape"),
        ([torch.zeros(4, 2), torch.zeros(4, 2).double()], "wrong dtype"),
    ],
)
def test_stages_that_do_not_fit_are_refused(codebooks: Any, message: str) -> None:
    with pytest.raises(TensorError, match=message):
        nearest_residual(torch.zeros(5, 2), codebooks)


def test_residuals_record_no_gradient() -> None:
    vectors, codebooks = normal(5, 3, seed=1).requires_grad_(), normal(2, 4, 3, seed=2).requires_grad_()
    copy = vectors.clone()
    found = nearest_residual(vectors, codebooks, details=True)
    assert not found.scores.requires_grad
    assert not found.codewords.requires_grad
    assert torch.equal(vectors, copy)
