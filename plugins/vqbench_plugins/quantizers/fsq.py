"""FSQ: each channel rounded to a few levels; the codebook is their product (Mentzer et al., arXiv 2309.15505)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from operator import mul
from typing import Literal

import torch
from torch import Tensor

from vqbench.interfaces import Quantized, Quantizer, straight_through
from vqbench_plugins.quantizers.checks import check_fsq
from vqbench_plugins.quantizers.fusion import fused

__all__ = ["FSQ"]

EPSILON = 1e-3
FLOAT32_INTEGERS = 1 << 24
"""Largest codebook whose codes may be summed in float32, which is exact up to there."""


class FSQ(Quantizer):
    """Finite scalar quantization, one token per position or several.

    With L levels: half width h, offset o = ½ for even L (else 0) and w = ⌊L/2⌋, the bounded value is
    ``b = h·tanh(z + s) - o``, the digit ``round(b) + w`` (half to even) and the value ``round(b) / w``. The gradient is
    that of ``b / w``: straight through the rounding only. There is no auxiliary loss.

    Args:
        levels: levels per channel, 2 to 1000 each; their product at most 2^62.
        bound: ``official`` has h = (L-1)(1-ε)/2 and s = tan(o/h) with ε = 10⁻³, as in the authors' listing (the tan,
            which they call a slip for artanh, shifts even channels by a little, and those of 2 levels by much).
            ``atanh`` has h = (L-1)(1+ε)/2 and s = artanh(o/h), as in the PyTorch ports. The two disagree on about 1 %
            of the codes. ``symmetric`` and ``symmetric-clamp`` place the L levels evenly on [-1, 1]: digit
            ``⌊(L-1)(g(z)+1)/2 + ½⌋`` with g = tanh or clamp to [-1, 1]; the forms to use with 2 levels.
        index_order: whether channel 0 is the least significant digit of the code (``first-least``, as published) or the
            most significant.
        tokens: T, blocks of consecutive channels, each with these levels: for more codes than one token can name.

    Raises:
        ParameterError: levels out of range, too many codes, or 2 levels with bound ``atanh``.
    """

    _levels: Tensor
    _basis: Tensor
    _weights: Tensor
    _unit: Tensor
    _half: Tensor
    _offset: Tensor
    _shift: Tensor

    def __init__(
        self,
        levels: Sequence[int],
        bound: Literal["official", "atanh", "symmetric", "symmetric-clamp"] = "official",
        index_order: Literal["first-least", "first-most"] = "first-least",
        tokens: int = 1,
    ) -> None:
        super().__init__()
        check_fsq(levels, bound)
        self.levels, self.bound, self.index_order = tuple(levels), bound, index_order
        self.latent_channels = self.code_channels = len(levels) * tokens
        self.codebook_sizes = (math.prod(levels),) * tokens
        digits = levels if index_order == "first-least" else levels[::-1]
        basis = list(accumulate(digits[:-1], mul, initial=1))
        if index_order == "first-most":
            basis.reverse()
        half = [(count - 1) * (1 + EPSILON if bound == "atanh" else 1 - EPSILON) / 2 for count in levels]
        offset = [0.0 if count % 2 else 0.5 for count in levels]
        shift = [(math.atanh if bound == "atanh" else math.tan)(o / h) for o, h in zip(offset, half, strict=True)]
        self._constant("_levels", torch.tensor(levels, dtype=torch.int64))
        self._constant("_basis", torch.tensor(basis, dtype=torch.int64))
        exact = torch.float32 if math.prod(levels) <= FLOAT32_INTEGERS else torch.int64
        self._constant("_weights", torch.tensor(basis, dtype=exact))
        self._constant("_unit", torch.tensor([(n - 1) / 2 if self._symmetric else n // 2 for n in levels]).float())
        self._constant("_half", torch.tensor(half))
        self._constant("_offset", torch.tensor(offset))
        self._constant("_shift", torch.tensor(shift))

    def _constant(self, name: str, per_channel: Tensor) -> None:
        repeated = per_channel.repeat(len(self.codebook_sizes))
        self.register_buffer(name, repeated[:, None, None], persistent=False)  # against (B, C, h, w)

    @property
    def _symmetric(self) -> bool:
        return self.bound in ("symmetric", "symmetric-clamp")

    def bounded(self, latents: Tensor) -> Tensor:
        """The latents before rounding, in levels: b, or ``(L-1)(g(z)+1)/2`` of the symmetric forms."""
        if self._symmetric:
            squashed = torch.tanh(latents) if self.bound == "symmetric" else latents.clamp(-1, 1)
            return (squashed + 1).mul_(self._unit)
        return torch.tanh(latents + self._shift).mul(self._half).sub_(self._offset)

    def forward(self, latents: Tensor) -> Quantized:
        value, codes = self._quantize(latents)
        return Quantized(value=value, codes=codes)

    @fused
    def _quantize(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        bounded = self.bounded(latents)
        levels = bounded.detach()
        digits = (levels + 0.5).floor_() if self._symmetric else levels.round().add_(self._unit)  # float32 integers
        weighted = digits.to(self._weights.dtype) * self._weights
        codes = torch.unflatten(weighted, 1, (-1, len(self.levels))).sum(dim=2).long()
        value = self._value(digits)
        return (straight_through(bounded, value, 1 / self._unit) if self.training else value), codes

    def decode(self, codes: Tensor) -> Tensor:
        digits = codes.repeat_interleave(len(self.levels), dim=1) // self._basis % self._levels
        return self._value(digits.to(self._unit.dtype))

    def _value(self, digits: Tensor) -> Tensor:
        """Values of digits ``(B, C, h, w)``, each in ``[0, L)``, float32."""
        return digits.sub(self._unit).div_(self._unit)
