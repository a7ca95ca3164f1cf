"""Layers of BSQ-ViT between token maps ``(B, C, h, w)`` and transformer blocks on ``(B, h·w, width)``."""

from __future__ import annotations

import torch
from timm.models.vision_transformer import Block
from torch import Tensor, nn
from torch.nn import functional as F

from vqbench.errors import TensorError

__all__ = ["PatchMerge", "PatchSplit", "PositionEmbedding", "initialise", "to_map", "to_tokens", "transformer"]


def to_tokens(maps: Tensor) -> Tensor:
    """``(B, C, h, w)`` to ``(B, h·w, C)``, row-major."""
    return maps.flatten(2).transpose(1, 2)


def to_map(tokens: Tensor, height: int, width: int) -> Tensor:
    """``(B, h·w, C)`` to ``(B, C, h, w)``, row-major."""
    batch, _, channels = tokens.shape
    return tokens.transpose(1, 2).reshape(batch, channels, height, width)


def transformer(width: int, heads: int, mlp_ratio: int, depth: int) -> nn.Sequential:
    """``depth`` pre-norm blocks: full attention, GELU MLP, no layer scale, no dropout."""
    return nn.Sequential(
        # the norm is named because timm's own default, and with it eps, has changed between releases
        *(Block(width, heads, mlp_ratio=mlp_ratio, qkv_bias=True, norm_layer=nn.LayerNorm) for _ in range(depth))
    )


def initialise(module: nn.Module) -> None:
    """Linear weights from a normal of std 0.02 cut at ±2, linear biases 0, positions from a normal of std 0.02."""
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.trunc_normal_(part.weight, std=0.02)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, PositionEmbedding):
            nn.init.normal_(part.weight, std=0.02)


class PositionEmbedding(nn.Module):
    """Adds a learned vector for each position of a ``size × size`` grid to tokens ``(B, size², width)``."""

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(size * size, width))

    def forward(self, tokens: Tensor) -> Tensor:
        if tokens.shape[1] != self.weight.shape[0]:
            raise TensorError(
                "a ViT works at the image size it was built for",
                got=f"{tokens.shape[1]} positions",
                expected=self.weight.shape[0],
                hint="Build it with image_size = the size of these images.",
            )
        return tokens + self.weight


class PatchMerge(nn.Module):
    """Joins ``factor × factor`` positions to one: space-to-depth (channel, row, column order), then a linear layer.

    ``(B, C_in, h·factor, w·factor)`` to tokens ``(B, h·w, C_out)``.
    """

    def __init__(self, channels_in: int, channels_out: int, factor: int, *, bias: bool = True) -> None:
        super().__init__()
        self.factor = factor
        self.linear = nn.Linear(channels_in * factor**2, channels_out, bias=bias)

    def forward(self, maps: Tensor) -> Tensor:
        tokens: Tensor = self.linear(to_tokens(F.pixel_unshuffle(maps, self.factor)))
        return tokens


class PatchSplit(nn.Module):
    """The reverse of :class:`PatchMerge`: a linear layer, then depth-to-space.

    Tokens ``(B, h·w, C_in)`` of an ``h × w`` grid to ``(B, C_out, h·factor, w·factor)``.
    """

    def __init__(self, channels_in: int, channels_out: int, factor: int) -> None:
        super().__init__()
        self.factor = factor
        self.linear = nn.Linear(channels_in, channels_out * factor**2)

    def forward(self, tokens: Tensor, height: int, width: int) -> Tensor:
        return F.pixel_shuffle(to_map(self.linear(tokens), height, width), self.factor)
