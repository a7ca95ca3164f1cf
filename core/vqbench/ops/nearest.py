"""The two searches every codebook method needs: nearest codeword, and best codeword under a Gaussian posterior."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from vqbench.errors import ParameterError, TensorError
from vqbench.ops.affine import AffineSearch
from vqbench.ops.scalar import argmin_scalar
from vqbench.ops.search import argmin_affine

__all__ = ["nearest_codeword", "nearest_gaussian"]

_FLOATS = (torch.float32, torch.float16, torch.bfloat16)


@torch.no_grad()
def nearest_codeword(vectors: Tensor, codebook: Tensor, *, check: bool = False) -> Tensor:
    """Index of the codeword at the smallest Euclidean distance from each vector: int64 ``(N,)``.

    Exact for the float32 inputs; equally near codewords go to the lowest index. Never holds all N×K distances. A vector
    with NaN or infinity gets some index in ``[0, K)``; ``check=True`` refuses it instead.

    Args:
        vectors: ``(N, d)``; float32, or half precision, which is widened.
        codebook: ``(K, d)``, K at least 1.
        check: whether to look for NaN and infinity first.

    Raises:
        TensorError: wrong shape, dtype or device; with ``check``, values that are not finite.
    """
    _validate("vectors", vectors, codebook, check)
    vectors, codebook = vectors.float(), codebook.float()
    if codebook.shape[1] == 1:
        means = vectors[:, 0].double().contiguous()
        return argmin_scalar(means, torch.ones_like(means), codebook[:, 0].double().contiguous(), 0.0)

    def squared_distance(row: Tensor, code: Tensor) -> Tensor:
        return (vectors[row].double() - codebook[code].double()).square().sum(dim=1)

    # |z - c|² without |z|², which is common to all codewords, after moving the origin to the codebook's mean: what
    # cancels costs no digits then
    origin = _center(codebook)

    def codes(part: slice) -> tuple[Tensor, Tensor]:
        words = codebook[part] - origin
        return words, words.double().square().sum(dim=1).div(2).float()

    def rows(part: slice | Tensor) -> Tensor:
        return origin - vectors[part]

    return argmin_affine(
        AffineSearch(
            number=len(vectors),
            size=len(codebook),
            width=codebook.shape[1],
            device=vectors.device,
            rows=rows,
            make_codes=codes,
            exact=squared_distance,
        )
    )


@torch.no_grad()
def nearest_gaussian(
    means: Tensor, log_variances: Tensor, codebook: Tensor, *, beta: float = 1.0, check: bool = False
) -> Tensor:
    """Index of the codeword that a Gaussian posterior scores highest: int64 ``(N,)``.

    The score of codeword c is ``Σ_i [log N(c_i; μ_i, σ_i²) - beta · log N(c_i; 0, 1)]``, up to a constant of the row
    ``-½ Σ_i [(c_i - μ_i)²/σ_i² - beta · c_i²]``. With beta = 1 it is the log ratio of posterior and prior, with
    beta = 0 the distance in units of σ. Exact for the float32 inputs; ties go to the lowest index; no N×K matrix.
    One-dimensional codebooks are searched by bisection.

    Args:
        means: ``(N, m)``, μ; float32, or half precision, which is widened.
        log_variances: ``(N, m)``, log σ².
        codebook: ``(K, m)``, K at least 1.
        beta: weight of the prior.
        check: whether to look for NaN and infinity first.

    Raises:
        ParameterError: beta is not finite.
        TensorError: wrong shape, dtype or device; with ``check``, values that are not finite.

    Source: Gaussian Quantization, arXiv 2512.06609, Eq. 8.
    """
    if not math.isfinite(beta):
        raise ParameterError("beta must be finite", got=beta)
    _validate("means", means, codebook, check)
    _validate("log_variances", log_variances, codebook, check)
    if means.shape != log_variances.shape:
        raise TensorError(
            "means and log_variances differ in shape", got=tuple(log_variances.shape), expected=tuple(means.shape)
        )
    means, log_variances, codebook = means.float(), log_variances.float(), codebook.float()
    if codebook.shape[1] == 1:
        mean, precision = means[:, 0].double().contiguous(), torch.exp(-log_variances[:, 0].double()).contiguous()
        return argmin_scalar(mean, precision, codebook[:, 0].double().contiguous(), beta)

    def energy(row: Tensor, code: Tensor) -> Tensor:
        words = codebook[code].double()
        distance = (words - means[row].double()).square() * torch.exp(-log_variances[row].double())
        return (distance - beta * words.square()).sum(dim=1)

    # (1/σ² - beta) c² - 2 (μ/σ²) c, each row divided by its largest 1/σ² so that no row overflows float32
    def rows(part: slice | Tensor) -> Tensor:
        precisions = torch.exp(-log_variances[part].double())
        scale = precisions.amax(dim=1, keepdim=True).clamp(min=1.0)
        return torch.cat([(precisions - beta) / scale, -2 * means[part].double() * (precisions / scale)], dim=1).float()

    def codes(part: slice) -> tuple[Tensor, Tensor]:
        words = codebook[part]
        return torch.cat([words.double().square().float(), words], dim=1), words.new_zeros(len(words))

    return argmin_affine(
        AffineSearch(
            number=len(means),
            size=len(codebook),
            width=2 * codebook.shape[1],
            device=means.device,
            rows=rows,
            make_codes=codes,
            exact=energy,
        )
    )


def _center(codebook: Tensor) -> Tensor:
    """Mean of the codewords ``(d,)``, without a copy of them in float64."""
    total = sum(part.sum(dim=0, dtype=torch.float64) for part in torch.split(codebook, 1 << 12))
    return torch.as_tensor(total).div(len(codebook)).float()


def _validate(name: str, rows: Tensor, codebook: Tensor, check: bool) -> None:
    if codebook.ndim != 2 or 0 in codebook.shape:
        raise TensorError("codebook has the wrong shape", got=tuple(codebook.shape), expected="(K, d) with K, d >= 1")
    if rows.ndim != 2 or rows.shape[1] != codebook.shape[1]:
        raise TensorError(
            f"{name} have the wrong shape",
            got=tuple(rows.shape),
            expected=f"(N, {codebook.shape[1]}), as wide as the codebook",
        )
    for label, tensor in ((name, rows), ("codebook", codebook)):
        if tensor.dtype not in _FLOATS:
            raise TensorError(
                f"{label} have the wrong dtype", got=tensor.dtype, expected="float32, float16 or bfloat16"
            )
        if check and not bool(torch.isfinite(tensor).all()):
            raise TensorError(f"{label} hold NaN or infinity", hint="Look for a diverged encoder or codebook.")
    if rows.device != codebook.device:
        raise TensorError(f"{name} and codebook are on different devices", got=f"{rows.device} and {codebook.device}")
