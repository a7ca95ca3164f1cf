"""The exact rate of a record, as something that can be compared and printed."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from vqbench.rate import Bits, LevelRate
from vqbench.results import LevelRecord

__all__ = ["Rate", "rate_of"]

LARGEST_EXACT = 1 << 19
"""Length in bits of the largest odd factor that is multiplied out (64 KiB): a record may come from a stranger."""


@dataclass(frozen=True, kw_only=True)
class Rate:
    """Bits per image; two rates are equal exactly when their bits are.

    ``bits`` is None for a continuous latent, which has no finite rate. (Rates too large to be multiplied out are equal
    where their codebooks are.)
    """

    key: Hashable
    bits: float | None = field(compare=False)
    text: str = field(compare=False)

    @property
    def token(self) -> str:
        """The key as a short-lived text to hash; in hexadecimal, since Python prints no huge integer in decimal."""
        return f"2^{self.key.twos:x}*{self.key.odd:x}" if isinstance(self.key, Bits) else repr(self.key)


CONTINUOUS = Rate(key="continuous", bits=None, text="continuous latent")


def rate_of(levels: Sequence[LevelRecord]) -> Rate:
    """The rate of a tokenizer with these levels; continuous if one of them has no codebook."""
    return _rate(tuple((level.height, level.width, tuple(level.codebook_sizes)) for level in levels))


@lru_cache(maxsize=4096)
def _rate(levels: tuple[tuple[int, int, tuple[int, ...]], ...]) -> Rate:
    if not levels or not all(sizes for _, _, sizes in levels):
        return CONTINUOUS
    length = sum(h * w * _odd_length(size) for h, w, sizes in levels for size in sizes)
    if length > LARGEST_EXACT:
        bits = sum(h * w * math.log2(size) for h, w, sizes in levels for size in sizes)
        return Rate(key=levels, bits=bits, text=f"≈{bits:.6g} bits/image")
    exact = Bits.of(LevelRate(height=h, width=w, codebook_sizes=sizes) for h, w, sizes in levels)
    approximately = "" if exact.odd == 1 else "≈"
    return Rate(key=exact, bits=float(exact), text=f"{approximately}{exact} bits/image")


def _odd_length(size: int) -> int:
    odd = size // (size & -size)
    return 0 if odd == 1 else odd.bit_length()
