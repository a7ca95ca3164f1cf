"""The searches every codebook method needs: nearest codeword, best codeword of a Gaussian posterior, residual stages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias, get_args, overload

import torch
from torch import Tensor

from vqbench.errors import ParameterError, TensorError
from vqbench.ops.inputs import check_inputs
from vqbench.ops.precision import true_float32
from vqbench.ops.scores import Cosine, Euclidean, Gaussian, InnerProduct, Score
from vqbench.ops.search import blocks, find, scores_of

__all__ = ["Metric", "Nearest", "nearest_codeword", "nearest_gaussian", "nearest_residual"]

Metric: TypeAlias = Literal["euclidean", "cosine", "inner"]
"""The smallest Euclidean distance, the largest cosine of the angle, or the largest inner product."""

_SCORES: dict[str, Score] = {"euclidean": Euclidean(), "cosine": Cosine(), "inner": InnerProduct()}


class Nearest(NamedTuple):
    """What a search found, with ``details=True``.

    Attributes:
        indices: of the best codewords, int64 ``(…, N)``; of residual stages ``(…, N, Q)``.
        scores: what the search went by, float32, of the same shape; computed in float64.
        codewords: the rows found, ``(…, N, d)`` or ``(…, N, Q, d)``, of the codebook's dtype.
    """

    indices: Tensor
    scores: Tensor
    codewords: Tensor


@overload
def nearest_codeword(
    vectors: Tensor, codebook: Tensor, *, metric: Metric = ..., check: bool = ..., details: Literal[False] = ...
) -> Tensor: ...


@overload
def nearest_codeword(
    vectors: Tensor, codebook: Tensor, *, metric: Metric = ..., check: bool = ..., details: Literal[True]
) -> Nearest: ...


@torch.no_grad()
def nearest_codeword(
    vectors: Tensor, codebook: Tensor, *, metric: Metric = "euclidean", check: bool = False, details: bool = False
) -> Tensor | Nearest:
    """Index of the codeword nearest to each vector: int64 ``(…, N)``.

    Exact for the float32 inputs: what float32 cannot decide is compared in float64, and equally near codewords go to
    the lowest index. It depends neither on memory layout, batch size, threads, nor on TF32 and autocast outside; never
    holds all N×K distances; records no gradient. A vector with NaN or infinity gets some index in ``[0, K)``.

    Args:
        vectors: ``(…, N, d)``; float32, or half precision, which is widened.
        codebook: ``(K, d)``, K at least 1. Or ``(G, K, d)``, one for each group of vectors ``(G, N, d)``.
        metric: ``euclidean`` distance; ``cosine`` of the angle, which is 0 for a vector or codeword of zeros; ``inner``
            product.
        check: whether to look for NaN and infinity first.
        details: whether to return a :class:`Nearest`, with the squared distance, cosine or inner product.

    Raises:
        ParameterError: no such metric.
        TensorError: wrong shape, dtype or device; with ``check``, values that are not finite.
    """
    if metric not in _SCORES:
        raise ParameterError("unknown metric", got=metric, expected=" or ".join(get_args(Metric)))
    check_inputs({"vectors": vectors}, codebook, grouped=True, finite=check)
    return _search(_SCORES[metric], [vectors], codebook, details)


@overload
def nearest_gaussian(
    means: Tensor,
    log_variances: Tensor,
    codebook: Tensor,
    *,
    beta: float = ...,
    check: bool = ...,
    details: Literal[False] = ...,
) -> Tensor: ...


@overload
def nearest_gaussian(
    means: Tensor,
    log_variances: Tensor,
    codebook: Tensor,
    *,
    beta: float = ...,
    check: bool = ...,
    details: Literal[True],
) -> Nearest: ...


@torch.no_grad()
def nearest_gaussian(
    means: Tensor,
    log_variances: Tensor,
    codebook: Tensor,
    *,
    beta: float = 1.0,
    check: bool = False,
    details: bool = False,
) -> Tensor | Nearest:
    """Index of the codeword that a Gaussian posterior scores highest: int64 ``(…, N)``.

    The score of codeword c, in nats, is ``Σ_i [log N(c_i; μ_i, σ_i²) - beta · log N(c_i; 0, 1)]``. Up to a constant of
    the row it is ``-½ Σ_i [(c_i - μ_i)²/σ_i² - beta · c_i²]``: with beta = 1 the log ratio of posterior and prior, with
    beta = 0 the distance in units of σ. As exact and independent as :func:`nearest_codeword`. One-dimensional codebooks
    are searched by bisection.

    Args:
        means: ``(…, N, m)``, μ; float32, or half precision, which is widened.
        log_variances: ``(…, N, m)``, log σ².
        codebook: ``(K, m)``, K at least 1. Or ``(G, K, m)``, one for each group of means ``(G, N, m)``.
        beta: weight of the prior.
        check: whether to look for NaN and infinity first.
        details: whether to return a :class:`Nearest`, with the score.

    Raises:
        ParameterError: beta is not finite.
        TensorError: wrong shape, dtype or device; with ``check``, values that are not finite.

    Source: Gaussian Quantization, arXiv 2512.06609, Eq. 8.
    """
    if not math.isfinite(beta):
        raise ParameterError("beta must be finite", got=beta)
    check_inputs({"means": means, "log_variances": log_variances}, codebook, grouped=True, finite=check)
    return _search(Gaussian(beta), [means, log_variances], codebook, details)


@overload
def nearest_residual(
    vectors: Tensor, codebooks: Tensor | Sequence[Tensor], *, check: bool = ..., details: Literal[False] = ...
) -> Tensor: ...


@overload
def nearest_residual(
    vectors: Tensor, codebooks: Tensor | Sequence[Tensor], *, check: bool = ..., details: Literal[True]
) -> Nearest: ...


@torch.no_grad()
def nearest_residual(
    vectors: Tensor, codebooks: Tensor | Sequence[Tensor], *, check: bool = False, details: bool = False
) -> Tensor | Nearest:
    """Indices of one codeword of each of Q codebooks, whose sum comes near each vector: int64 ``(…, N, Q)``.

    Greedy: stage q takes the codeword at the smallest Euclidean distance from the residual ``r_q``, and ``r_q+1`` is
    ``r_q`` less that codeword, in float32; ``r_1`` is the vector. Each stage is as exact and independent as
    :func:`nearest_codeword`.

    Args:
        vectors: ``(…, N, d)``; float32, or half precision, which is widened.
        codebooks: ``(Q, K, d)``, or Q of them ``(K_q, d)``.
        check: whether to look for NaN and infinity first.
        details: whether to return a :class:`Nearest`, with each stage's squared distance.

    Raises:
        TensorError: no codebook; wrong shape, dtype or device; with ``check``, values that are not finite.

    Source: Lee et al., Autoregressive Image Generation using Residual Quantization, arXiv 2203.01941, Eq. 2.
    """
    books = tuple(codebooks)
    if not books:
        raise TensorError("no codebooks", expected="(Q, K, d) with Q, K, d >= 1, or a sequence of (K_q, d)")
    for book in books:
        check_inputs({"vectors": vectors}, book, grouped=False, finite=check)
    score = _SCORES["euclidean"]
    indices = torch.empty(*vectors.shape[:-1], len(books), dtype=torch.int64, device=vectors.device)
    scores = torch.empty(indices.shape if details else 0, dtype=torch.float32, device=vectors.device)
    row = 0
    with true_float32(vectors.device):
        for (residual,) in blocks(vectors):
            here = slice(row, row + len(residual))
            row = here.stop
            for stage, book in enumerate(books):
                index = find(score, [residual], book)
                words = book[index].float()
                indices.view(-1, len(books))[here, stage] = index
                if details:
                    scores.view(-1, len(books))[here, stage] = score.value(words, residual).float()
                residual = residual - words
    if not details:
        return indices
    codewords = torch.stack([book[index] for book, index in zip(books, indices.unbind(-1), strict=True)], dim=-2)
    return Nearest(indices, scores, codewords)


def _search(score: Score, queries: Sequence[Tensor], codebook: Tensor, details: bool) -> Tensor | Nearest:
    with true_float32(codebook.device):
        indices = find(score, queries, codebook)
        if not details:
            return indices
        if codebook.ndim == 2:
            codewords = codebook[indices]
        else:
            codewords = torch.stack([words[index] for words, index in zip(codebook, indices, strict=True)])
        return Nearest(indices, scores_of(score, queries, codewords), codewords)
