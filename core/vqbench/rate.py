"""Bits: the exact rate of a tokenizer.

``bits_per_image = Σ_levels h·w·Σ_t log2 K_t``. Whether two tokenizers have equal bits is decided on integers (the number of
different code images, ``Π K_t^(h·w)``), never on rounded logarithms.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce

__all__ = ["Bits", "LevelRate"]


@dataclass(frozen=True, kw_only=True)
class LevelRate:
    """What one level spends: ``height × width`` positions, one token per entry of ``codebook_sizes`` at each."""

    height: int
    width: int
    codebook_sizes: tuple[int, ...]

    @property
    def positions(self) -> int:
        """Latent positions of the level."""
        return self.height * self.width


@dataclass(frozen=True)
class Bits:
    """An exact number of bits, ``log2(2^twos · odd)``: equal exactly when the rates are.

    ``odd`` is the odd part of the number of different code images; for codebooks of powers of two it is 1.
    """

    twos: int
    odd: int = 1

    @classmethod
    def of(cls, levels: Iterable[LevelRate]) -> Bits:
        """The bits per image of a tokenizer with these levels."""
        return reduce(cls.__add__, (cls._power(k, lv.positions) for lv in levels for k in lv.codebook_sizes), cls(0))

    @classmethod
    def whole(cls, bits: int) -> Bits:
        """Exactly ``bits`` bits."""
        return cls(bits)

    @classmethod
    def _power(cls, size: int, exponent: int) -> Bits:
        twos = (size & -size).bit_length() - 1
        return cls(twos * exponent, (size >> twos) ** exponent)

    def __add__(self, other: Bits) -> Bits:
        return Bits(self.twos + other.twos, self.odd * other.odd)

    def __float__(self) -> float:
        """The number of bits as a float, correctly rounded to about 15 digits."""
        excess = max(self.odd.bit_length() - 64, 0)
        return self.twos + excess + math.log2(self.odd >> excess)

    def __str__(self) -> str:
        return str(self.twos) if self.odd == 1 else f"{float(self):.6g}"
