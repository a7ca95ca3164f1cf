"""A small convolutional backbone: patches of the finest stride, residual blocks, a pyramid of levels on top."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from vqbench import Backbone, LevelShape


class MyComponent(Backbone):
    """Patches of the finest stride are embedded, mixed by residual blocks, and pooled for the coarser levels."""

    def __init__(self, image_size: int, levels: Sequence[LevelShape], *, width: int, blocks: int) -> None:
        super().__init__(image_size, levels)
        self.patch = self.levels[-1].stride
        self.embed = nn.Conv2d(3 * self.patch**2, width, 1)
        self.encoder = nn.Sequential(*(Block(width) for _ in range(blocks)))
        self.to_latent = nn.ModuleList()  # of a finer level, also from the values of all coarser ones
        coarser = 0
        for level in self.levels:
            self.to_latent.append(nn.Conv2d(width + coarser, level.latent_channels, 1))
            coarser += level.code_channels
        self.from_values = nn.Conv2d(coarser, width, 1)
        self.decoder = nn.Sequential(*(Block(width) for _ in range(blocks)))
        self.to_pixels = nn.Conv2d(width, 3 * self.patch**2, 1)

    def encode(self, images: Tensor) -> list[Tensor]:
        patches = functional.pixel_unshuffle(images * 2 - 1, self.patch)
        features = self.encoder(self.embed(patches))
        pyramid = [functional.avg_pool2d(features, level.stride // self.patch) for level in self.levels]
        return [self.to_latent[0](pyramid[0]), *pyramid[1:]]

    def fuse(self, level: int, features: Tensor, values: Sequence[Tensor]) -> Tensor:
        return self.to_latent[level](torch.cat([features, *resized(values, features)], dim=1))

    def decode(self, values: Sequence[Tensor]) -> Tensor:
        features = self.decoder(self.from_values(torch.cat(resized(values, values[-1]), dim=1)))
        return functional.pixel_shuffle(self.to_pixels(features), self.patch) / 2 + 0.5

    @property
    def last_layer(self) -> nn.Parameter:
        return self.to_pixels.weight


class Block(nn.Module):
    """A residual block: norm, convolution, activation, convolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.GroupNorm(1, width), nn.Conv2d(width, width, 3, padding=1), nn.SiLU(), nn.Conv2d(width, width, 1)
        )

    def forward(self, features: Tensor) -> Tensor:
        return features + self.net(features)


def resized(values: Sequence[Tensor], like: Tensor) -> list[Tensor]:
    """Values of coarser levels, repeated to the grid of `like`."""
    return [functional.interpolate(value, size=like.shape[2:], mode="nearest") for value in values]
