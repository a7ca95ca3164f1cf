"""Which parameters go together, in plain arithmetic: asked when a matrix is planned and when a quantizer is built."""

from __future__ import annotations

import math
from collections.abc import Sequence

from vqbench.errors import ParameterError

__all__ = ["LARGEST_CODEBOOK", "check_codebook_size", "check_fsq", "check_groups", "whole_bits"]

LARGEST_CODEBOOK = 2**62
"""Token ids are int64; a method with more codes emits several tokens per position."""


def check_codebook_size(size: int, *, parameter: str = "codebook_size") -> None:
    """Raise ParameterError unless a codebook of that size can be indexed and decided on."""
    if not 2 <= size <= LARGEST_CODEBOOK:
        raise ParameterError(f"{parameter} is out of range", got=size, expected="2 to 2^62 codes")


def check_groups(channels: int, dim: int, *, parameter: str = "dim") -> None:
    """Raise ParameterError unless the channels divide into whole groups of ``dim``."""
    if dim < 1 or channels < 1 or channels % dim:
        divisors = ", ".join(str(d) for d in range(1, channels + 1) if channels % d == 0)
        raise ParameterError(
            f"{parameter} must divide channels",
            got=f"{parameter} = {dim} with channels = {channels}",
            expected=divisors,
        )


def whole_bits(codebook_size: int) -> float:
    """log2 of a codebook size, which must be a power of two for a divergence target to be derived from it."""
    bits = codebook_size.bit_length() - 1
    if codebook_size != 1 << bits:
        raise ParameterError(
            "codebook_size must be a power of two where target_bits is left to follow it",
            got=codebook_size,
            hint=f"Take {1 << bits}, or give target_bits (log2 of {codebook_size} is {math.log2(codebook_size):.4f}).",
        )
    return float(bits)


def check_fsq(levels: Sequence[int], bound: str) -> None:
    """Raise ParameterError for levels that the bound cannot reach, or that give more codes than an id can name."""
    if not levels:
        raise ParameterError("levels is empty", expected="one number of levels per channel")
    for count in levels:
        if not 2 <= count <= 1000:
            raise ParameterError(
                "a number of levels is out of range",
                got=count,
                expected="2 to 1000 (beyond, a bound with epsilon 1e-3 misses the outer levels or leaves the grid)",
            )
    if 2 in levels and bound == "atanh":
        raise ParameterError(
            "bound 'atanh' cannot do 2 levels: its shift, atanh(1/1.001), puts the threshold at -3.8",
            got=list(levels),
            hint="Use bound 'symmetric'.",
        )
    if (codes := math.prod(levels)) > LARGEST_CODEBOOK:
        raise ParameterError(
            "levels give more codes than a token id can name",
            got=f"{codes} codes",
            expected="at most 2^62",
            hint="Use fewer channels.",
        )
