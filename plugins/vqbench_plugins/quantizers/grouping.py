"""Channel groups: which channels of a latent form one token's vector."""

from __future__ import annotations

from typing import Literal, TypeAlias

from torch import Tensor

__all__ = ["Grouping", "join_groups", "split_groups"]

Grouping: TypeAlias = Literal["strided", "contiguous"]
"""Component i of token g is channel ``i·G + g`` (strided) or ``g·m + i`` (contiguous); the same for one group."""


def split_groups(channels: Tensor, dim: int, grouping: Grouping) -> Tensor:
    """Token vectors ``(B, G, h, w, dim)`` of channels ``(B, G·dim, h, w)``."""
    batch, count, height, width = channels.shape
    if grouping == "strided":
        return channels.reshape(batch, dim, count // dim, height, width).permute(0, 2, 3, 4, 1)
    return channels.reshape(batch, count // dim, dim, height, width).permute(0, 1, 3, 4, 2)


def join_groups(vectors: Tensor, grouping: Grouping) -> Tensor:
    """Channels ``(B, G·dim, h, w)`` of token vectors ``(B, G, h, w, dim)``: the inverse of :func:`split_groups`."""
    order = (0, 4, 1, 2, 3) if grouping == "strided" else (0, 1, 4, 2, 3)
    return vectors.permute(order).flatten(1, 2).contiguous()
