"""Layers of the convolutional hourglass: residual block, self-attention, down- and upsampling by two."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["Attention", "Downsample", "ResidualBlock", "Upsample", "normalise"]


def normalise(channels: int, groups: int) -> nn.GroupNorm:
    """The hourglass's GroupNorm (eps 1e-6, affine)."""
    return nn.GroupNorm(groups, channels, eps=1e-6)


class ResidualBlock(nn.Module):
    """Norm, SiLU, 3×3 conv, twice, beside the identity (a 1×1 conv where channels change); ``(B, C, h, w)``."""

    def __init__(self, channels_in: int, channels_out: int, groups: int) -> None:
        super().__init__()
        self.norm1 = normalise(channels_in, groups)
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, padding=1)
        self.norm2 = normalise(channels_out, groups)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1)
        self.shortcut = nn.Identity() if channels_in == channels_out else nn.Conv2d(channels_in, channels_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(F.silu(self.norm1(x)))
        y = self.conv2(F.silu(self.norm2(y)))
        out: Tensor = self.shortcut(x) + y
        return out


class Attention(nn.Module):
    """Single-head self-attention over all positions, after a norm, beside the identity; ``(B, C, h, w)``."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.norm = normalise(channels, groups)
        self.query, self.key, self.value, self.out = (nn.Conv2d(channels, channels, 1) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(x)
        # (B, C, h, w) -> (B, 1, hw, C): one head as wide as the map
        query, key, value = (f(y).flatten(2).transpose(1, 2).unsqueeze(1) for f in (self.query, self.key, self.value))
        y = F.scaled_dot_product_attention(query, key, value)
        y = y.squeeze(1).transpose(1, 2).reshape(x.shape)
        out: Tensor = x + self.out(y)
        return out


class Downsample(nn.Module):
    """Halves height and width: zeros on the right and at the bottom, 3×3 conv of stride 2."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(F.pad(x, (0, 1, 0, 1)))
        return out


class Upsample(nn.Module):
    """Doubles height and width: nearest neighbour, 3×3 conv."""

    def __init__(self, channels_in: int, channels_out: int | None = None) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out or channels_in, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return out
