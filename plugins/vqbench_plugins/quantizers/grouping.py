"""Channel groups: which channels of a latent form one token's vector."""

from __future__ import annotations

from typing import Literal, TypeAlias

from torch import Tensor

__all__ = ["Grouping", "join_groups", "split_groups"]

Grouping: TypeAlias = Literal["strided", "contiguous"]
"""``strided``: component i of token g is channel ``i·G + g``; ``contiguous``: channel ``g·m + i``. Equal for one group."""


def split_groups(channels: Tensor, dim: int, grouping: Grouping) -> Tensor:
    """Token vectors ``(B, G, h, w, dim)`` of channels ``(B, G·dim, h, w)``."""
    if grouping == "strided":
        return channels.unflatten(1, (dim, -1)).permute(0, 2, 3, 4, 1)  # (B, m, G, h, w)
    return channels.unflatten(1, (-1, dim)).permute(0, 1, 3, 4, 2)  # (B, G, m, h, w)


def join_groups(vectors: Tensor, grouping: Grouping) -> Tensor:
    """Channels ``(B, G·dim, h, w)`` of token vectors ``(B, G, h, w, dim)``: the inverse of :func:`split_groups`."""
    order = (0, 4, 1, 2, 3) if grouping == "strided" else (0, 1, 4, 2, 3)
    return vectors.permute(order).flatten(1, 2).contiguous()
