"""A table of codewords: search and lookup, whichever way the table is kept."""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vqbench.ops import nearest_codeword
from vqbench_plugins.quantizers.checks import check_codebook_size
from vqbench_plugins.quantizers.sphere import on_sphere

__all__ = ["Codebook", "CodebookInit", "initial_words"]

CodebookInit: TypeAlias = Literal["uniform", "normal", "sphere"]
"""Where codewords start: uniform on ±1/K (VQGAN), standard normal (VQ-VAE-2, RQ-VAE), or uniform on ±1/K and then scaled
to length 1 (LlamaGen)."""


def initial_words(size: int, dim: int, init: CodebookInit) -> Tensor:
    """Random codewords ``(size, dim)``.

    Raises:
        ParameterError: the size is out of range.
    """
    check_codebook_size(size)
    if init == "normal":
        return torch.randn(size, dim)
    words = torch.empty(size, dim).uniform_(-1 / size, 1 / size)
    return words if init == "uniform" else on_sphere(words, dim=-1)


class Codebook(nn.Module):
    """K codewords of d channels.

    Args:
        words: the codewords at the start, ``(K, d)``.
        trained: whether they follow a gradient; otherwise they are a buffer.
        spherical: search and lookup use the codewords scaled to length 1.
    """

    words: Tensor

    def __init__(self, words: Tensor, *, trained: bool, spherical: bool = False) -> None:
        super().__init__()
        self.spherical = spherical
        if trained:
            self.words = nn.Parameter(words)
        else:
            self.register_buffer("words", words)

    def search(self, vectors: Tensor) -> Tensor:
        """Codes ``(…)`` of the codewords nearest to vectors ``(…, d)``, by angle if spherical; ties go to the lowest index."""
        return nearest_codeword(vectors, self.words, metric="cosine" if self.spherical else "euclidean")

    def lookup(self, codes: Tensor) -> Tensor:
        """Codewords ``(…, d)`` of codes ``(…)``; a copy, which later changes of the table do not reach."""
        return self.on_sphere(F.embedding(codes, self.words))

    def hits(self, codes: Tensor) -> Tensor:
        """How often each codeword occurs in the codes, int64 ``(K,)``."""
        return torch.bincount(codes.flatten(), minlength=len(self.words))

    def on_sphere(self, vectors: Tensor) -> Tensor:
        """Vectors ``(…, d)`` as this codebook compares them: of length 1 if it is spherical."""
        return on_sphere(vectors, dim=-1) if self.spherical else vectors
