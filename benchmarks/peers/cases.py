"""What is measured: an operation at a size, and its inputs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from vqbench_plugins.quantizers.gaussian_codebook import gaussian_codebook

__all__ = ["SEARCHES", "Case", "Inputs", "Operation", "make_inputs"]

Operation: TypeAlias = Literal["search", "cosine", "inner", "residual", "vq", "gq", "rq", "fsq", "lfq", "bsq"]
"""The first four are the searches of :mod:`vqbench.ops` alone; the others are a quantizer's forward pass in evaluation, or its
forward and backward pass in training."""
SEARCHES: tuple[Operation, ...] = ("search", "cosine", "inner", "residual")

NAMES: dict[Operation, str] = {
    "search": "Euclidean search",
    "cosine": "cosine search",
    "inner": "inner-product search",
    "residual": "residual search",
    "vq": "VQ",
    "gq": "GQ conversion",
    "rq": "residual VQ",
    "fsq": "FSQ",
    "lfq": "LFQ",
    "bsq": "BSQ",
}
SEED = 20251209
LATENT_SCALE = {"lfq": 0.02}  # at LFQ's temperature, larger latents have soft codes of no entropy and no gradient


@dataclass(frozen=True, kw_only=True)
class Case:
    """One operation at one size.

    Attributes:
        operation: see :data:`Operation`.
        rows: N, vectors to quantize.
        dim: d, of a vector.
        codewords: K, of each codebook; 0 where there is no table.
        stages: T, of residual quantization.
        levels: of FSQ, one per dimension.
        training: forward and backward in training mode, instead of forward in evaluation.
    """

    operation: Operation
    rows: int
    dim: int
    codewords: int = 0
    stages: int = 1
    levels: tuple[int, ...] = ()
    training: bool = False

    @property
    def title(self) -> str:
        """As a row of a table names it."""
        name = NAMES[self.operation]
        if self.operation not in (*SEARCHES, "gq"):
            name += " forward+backward" if self.training else " eval forward"
        table = f"{self.stages}×" if self.stages > 1 else ""
        sizes = [f"K={table}{self.codewords:,}"] if self.codewords else []
        sizes.append(f"levels {list(self.levels)}" if self.levels else f"d={self.dim}")
        return f"{name}, {', '.join(sizes)}, N={self.rows:,}"


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """The tensors of a case, all float32 and drawn from a fixed seed.

    Attributes:
        vectors: ``(N, d)``; of GQ the posterior means.
        codebooks: ``(T, K, d)``; ``(T, 0, d)`` where there is no table.
        log_variances: ``(N, d)``, of GQ's posteriors; else ``(0, d)``.
        gradient: ``(N, d)`` with respect to the value, in training; else ``(0, d)``.
    """

    vectors: Tensor
    codebooks: Tensor
    log_variances: Tensor
    gradient: Tensor

    def first(self, rows: int) -> Inputs:
        """The same with only the first rows."""
        return replace(
            self,
            vectors=self.vectors[:rows],
            log_variances=self.log_variances[:rows],
            gradient=self.gradient[:rows],
        )


def make_inputs(case: Case, device: torch.device) -> Inputs:
    """The inputs of a case: the same on every call and in every process.

    Vectors and codewords are standard normal. Posteriors of GQ lie where it is used: about one bit a dimension,
    σ near ½ and means of variance 1 - σ².
    """
    draw = torch.Generator().manual_seed(SEED)
    vectors = torch.randn(case.rows, case.dim, generator=draw) * LATENT_SCALE.get(case.operation, 1.0)
    log_variances = torch.empty(0, case.dim)
    if case.operation == "gq":
        vectors *= 0.75**0.5
        log_variances = 2 * torch.log(0.5 * (1 + 0.1 * torch.randn(case.rows, case.dim, generator=draw).clamp(-3, 3)))
        codebooks = gaussian_codebook(case.codewords, case.dim, 42)[None]
    else:
        codebooks = torch.randn(case.stages, case.codewords, case.dim, generator=draw)
        codebooks *= torch.logspace(0, -(case.stages - 1) / 2, case.stages)[:, None, None]  # residuals shrink
    gradient = torch.randn(case.rows if case.training else 0, case.dim, generator=draw)
    gradient /= max(case.rows * case.dim, 1)  # as of a mean over all elements
    return Inputs(
        vectors=vectors.to(device),
        codebooks=codebooks.to(device),
        log_variances=log_variances.to(device),
        gradient=gradient.to(device),
    )
