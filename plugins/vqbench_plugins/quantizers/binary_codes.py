"""Binary codes: bits packed into tokens and back, exactly, in int64."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

__all__ = ["BinaryTokens", "BitOrder"]

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

    def __init__(self, sizes: Sequence[int], order: BitOrder) -> None:
        super().__init__()
        self.sizes, self.order = tuple(sizes), order
        shifts = [bit for size in sizes for bit in (range(size) if order == "lsb-first" else reversed(range(size)))]
        tokens = [token for token, size in enumerate(sizes) for _ in range(size)]
        shift = torch.tensor(shifts, dtype=torch.int64)[:, None, None]  # against (B, d, h, w)
        self.register_buffer("_shift", shift, persistent=False)
        self.register_buffer("_token", torch.tensor(tokens, dtype=torch.int64), persistent=False)

    def pack(self, bits: Tensor) -> Tensor:
        """Token ids, int64 ``(B, T, h, w)``, of bits ``(B, d, h, w)``, bool."""
        weighted = bits.long() << self._shift
        return torch.stack([token.sum(dim=1) for token in torch.split(weighted, list(self.sizes), dim=1)], dim=1)

    def unpack(self, codes: Tensor) -> Tensor:
        """Bits, bool ``(B, d, h, w)``, of token ids ``(B, T, h, w)``."""
        return (codes[:, self._token] >> self._shift & 1).bool()

    def extra_repr(self) -> str:
        return f"sizes={self.sizes}, order={self.order}"
