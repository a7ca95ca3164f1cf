"""Binary codes: bits packed into tokens and back, exactly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vqbench.ops.precision import true_float32

__all__ = ["BinaryTokens", "BitOrder"]

PIECE_BITS = 24
"""Bits that a float32 holds as an integer."""

BitOrder: TypeAlias = Literal["msb-first", "lsb-first"]
"""Whether a token's first channel is its most or its least significant bit."""


class BinaryTokens(nn.Module):
    """How d bits form T tokens: consecutive channels, as many as ``sizes`` says for each token.

    Args:
        sizes: bits of each token, 1 to 62.
        order: of the bits within a token.
    """

    _shift: Tensor
    _token: Tensor
    _weights: Tensor

    def __init__(self, sizes: Sequence[int], order: BitOrder) -> None:
        super().__init__()
        self.sizes, self.order = tuple(sizes), order
        shifts = [bit for size in sizes for bit in (range(size) if order == "lsb-first" else reversed(range(size)))]
        tokens = [token for token, size in enumerate(sizes) for _ in range(size)]
        shift = torch.tensor(shifts, dtype=torch.int64)[:, None, None]  # against (B, d, h, w)
        self.register_buffer("_shift", shift, persistent=False)
        self.register_buffer("_token", torch.tensor(tokens, dtype=torch.int64), persistent=False)
        # (pieces, T, d): bits of each token from the 0th, the 24th and the 48th on, as powers of two
        pieces = [
            [2.0 ** (bit % PIECE_BITS) if bit // PIECE_BITS == piece else 0.0 for bit in shifts]
            for piece in range(-(-max(sizes) // PIECE_BITS))
        ]
        of_token = F.one_hot(self._token, len(self.sizes)).T
        self.register_buffer("_weights", torch.tensor(pieces)[:, None] * of_token, persistent=False)

    def pack(self, bits: Tensor) -> Tensor:
        """Token ids, int64 ``(B, T, h, w)``, of bits ``(B, d, h, w)``, the numbers 0 and 1, floating-point.

        A matrix product with powers of two, no more of them at a time than a float32 holds exactly.
        """
        with true_float32(bits.device):
            pieces = [(weights @ bits.flatten(2)).long() for weights in self._weights.to(bits.dtype)]
        codes = pieces[0]
        for number, piece in enumerate(pieces[1:], 1):
            codes += piece << PIECE_BITS * number
        return torch.unflatten(codes, 2, bits.shape[2:])

    def unpack(self, codes: Tensor) -> Tensor:
        """Bits ``(B, d, h, w)``, the float32 numbers 0 and 1, of token ids ``(B, T, h, w)``."""
        return (codes[:, self._token] >> self._shift & 1).float()

    def extra_repr(self) -> str:
        return f"sizes={self.sizes}, order={self.order}"
