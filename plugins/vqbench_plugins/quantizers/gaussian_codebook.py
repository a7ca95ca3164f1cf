"""The fixed codebook of Gaussian quantization: never trained or stored, determined by its size, dimension and seed."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

__all__ = ["codebook_sha256", "gaussian_codebook"]


def gaussian_codebook(size: int, dim: int, seed: int = 42) -> Tensor:
    """``(size, dim)`` float32 codewords that cover N(0, I): normal quantiles of scrambled Sobol points.

    A smaller codebook of the same dimension and seed is a prefix of a larger one. The global random state is left
    alone. Sobol points may round to 1, whose quantile is infinite: they are moved inside by half a step, which changes
    no finite codeword.

    Source: arXiv 2512.06609 and its released code.
    """
    engine = torch.quasirandom.SobolEngine(dim, scramble=True, seed=seed)  # type: ignore[no-untyped-call]
    uniform: Tensor = engine.draw(size, dtype=torch.float32).double()
    normal: Tensor = torch.special.ndtri(uniform.clamp(2.0**-31, 1 - 2.0**-25))
    return normal.float()


def codebook_sha256(codebook: Tensor) -> str:
    """SHA-256 of the float32 little-endian bytes, rows in order: what pins a codebook across machines."""
    return hashlib.sha256(codebook.cpu().contiguous().numpy().astype("<f4").tobytes()).hexdigest()
