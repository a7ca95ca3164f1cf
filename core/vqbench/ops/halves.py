"""Scores from bfloat16 products: twice as fast as float32 on processors that have them, and less exact by a known bound."""

from __future__ import annotations

from functools import cache

import torch
from llvmlite import binding
from torch import Tensor

from vqbench.ops.affine import AffineSearch

__all__ = ["Halves", "multiplies_bfloat16"]

ROUNDOFF = 2.0**-9


@cache
def multiplies_bfloat16() -> bool:
    """Whether the processor has instructions for it; where it has none, torch makes do with slower ones."""
    features = binding.get_host_cpu_features()
    return bool(features.get("avx512bf16") or features.get("amx-bf16"))


class Halves:
    """Both sides of a search rounded to bfloat16.

    Biases ride along as three more columns: each is the sum of three bfloat16 numbers, but for what float32 rounds too.
    """

    RELATIVE = 5 * ROUNDOFF
    """By which part of themselves two scores, which are rounded to bfloat16 too, may seem apart and not be."""

    def __init__(self, search: AffineSearch) -> None:
        codes, bias = search.codes, search.bias
        high = bias.bfloat16()
        middle = (bias - high).bfloat16()
        low = (bias - high - middle).bfloat16()
        rounded = codes.bfloat16()
        self.codes = torch.cat([rounded, torch.stack([high, middle, low], dim=1)], dim=1)
        """``(K, D + 3)`` bfloat16."""
        self._remainder = float(torch.linalg.vector_norm(codes - rounded, dim=1).max())
        self._longest, self._tiny = search.longest, search.width * 2.0**-120

    def rows(self, rows: Tensor, doubt: Tensor) -> tuple[Tensor, Tensor]:
        """``(R, D + 3)`` bfloat16, and how far apart two of these scores of a row must be to be certain, given ``doubt``
        of float32 (``(R,)``), beside ``RELATIVE``."""
        rounded = rows.bfloat16()
        remainder = torch.linalg.vector_norm(rows - rounded, dim=1)
        lengths = torch.linalg.vector_norm(rows, dim=1)
        error = remainder * self._longest + (lengths + remainder) * self._remainder
        # some more for the lengths' own rounding and for numbers too small for the processor's products
        doubt = 2 * doubt + 2.02 * error + self._tiny
        return torch.cat([rounded, rounded.new_ones(len(rows), 3)], dim=1), doubt
