"""The encoder and decoder around the quantizers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor, nn

from vqbench.specs import LevelShape

__all__ = ["Backbone"]


class Backbone(nn.Module, ABC):
    """An encoder, the nets between levels and a decoder.

    Levels run from coarse to fine. Everything the decoder sees has passed a quantizer: there are no encoder-to-decoder skips.
    The nets that join levels belong here and never to a quantizer, so a method and its counterpart share every weight shape.

    Args:
        image_size: height and width of the images in pixels, divisible by every stride.
        levels: stride and channels of each level, coarse to fine.
    """

    def __init__(self, image_size: int, levels: Sequence[LevelShape]) -> None:
        super().__init__()
        self.image_size = image_size
        self.levels = tuple(levels)

    @abstractmethod
    def encode(self, images: Tensor) -> list[Tensor]:
        """Feature maps of images ``(B, 3, H, W)`` in [0, 1], one per level, coarse to fine.

        The first is the coarsest level's latent, ``(B, latent_channels, h, w)``; the others are inputs of :meth:`fuse`.
        """

    @abstractmethod
    def fuse(self, level: int, features: Tensor, values: Sequence[Tensor]) -> Tensor:
        """The latent ``(B, latent_channels, h, w)`` of a finer level.

        Args:
            level: index of the level, at least 1.
            features: what :meth:`encode` returned for it.
            values: the quantized values of all coarser levels, coarse to fine.
        """

    @abstractmethod
    def decode(self, values: Sequence[Tensor]) -> Tensor:
        """Images ``(B, 3, H, W)`` from one value ``(B, code_channels, h, w)`` per level; in [0, 1] but not clamped."""

    @property
    @abstractmethod
    def last_layer(self) -> nn.Parameter:
        """The weight of the decoder's last layer, which adaptive loss weights are computed from."""
