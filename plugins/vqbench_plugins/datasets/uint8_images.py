"""A sequence of images that are made when first asked for and kept as bytes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

__all__ = ["CACHE_BYTES", "Uint8Images"]

CACHE_BYTES = 2**30
"""A set that takes more memory than this (as uint8 RGB) is not kept but made anew on every access."""


class Uint8Images:
    """Images ``(3, H, W)`` in [0, 1], all multiples of 1/255.

    Args:
        length: number of images.
        image_size: H = W in pixels.
        load: image ``(H, W, 3)``, uint8, of an index in ``[0, length)``; always the same for the same index.
    """

    def __init__(self, length: int, image_size: int, load: Callable[[int], npt.NDArray[np.uint8]]) -> None:
        self._length, self._load = length, load
        keep = length * image_size**2 * 3 <= CACHE_BYTES
        self._cache = np.empty((length if keep else 0, image_size, image_size, 3), np.uint8)
        self._cached = np.zeros(len(self._cache), bool)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Tensor:
        if not -self._length <= index < self._length:
            raise IndexError(f"image {index} of {self._length}")
        pixels = torch.tensor(self._pixels(index % self._length))  # a copy: Pillow's arrays are read-only
        return pixels.permute(2, 0, 1).to(torch.float32, memory_format=torch.contiguous_format).div_(255)

    def _pixels(self, index: int) -> npt.NDArray[np.uint8]:
        if not len(self._cache):
            return self._load(index)
        if not self._cached[index]:
            self._cache[index] = self._load(index)
            self._cached[index] = True
        pixels: npt.NDArray[np.uint8] = self._cache[index]
        return pixels
