"""What the built-in backbones share: an encoder, the nets between levels and a decoder, and how images pass through them."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from vqbench.interfaces import Backbone
from vqbench_plugins.backbones.pixels import from_images, to_images
from vqbench_plugins.backbones.top_down import TopDown

__all__ = ["Pyramid"]


class Pyramid(Backbone):
    """A backbone of three parts, which a family builds.

    Attributes:
        encoder: images scaled to [-1, 1] to one feature map per level, coarse to fine.
        top_down: joins the levels.
        decoder: the joined state to images scaled to [-1, 1].
    """

    encoder: nn.Module
    top_down: TopDown
    decoder: nn.Module

    def encode(self, images: Tensor) -> list[Tensor]:
        features: list[Tensor] = self.encoder(from_images(images))
        return features

    def fuse(self, level: int, features: Tensor, values: Sequence[Tensor]) -> Tensor:
        return self.top_down.fuse(level, features, values)

    def decode(self, values: Sequence[Tensor]) -> Tensor:
        return to_images(self.decoder(self.top_down.merge(values)))
