"""Sequences of images that are kept as bytes: in memory, in a memory-mapped file, or made when asked for."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vqbench.errors import DataError
from vqbench_plugins.datasets.decoding import quiet_pillow

__all__ = ["CACHE_BYTES", "THREADS", "ArrayImages", "MadeImages", "MappedImages", "Uint8Images"]

CACHE_BYTES = 2**30
"""A set that takes more memory than this (as uint8 RGB) is not kept in memory."""

THREADS = min(16, os.cpu_count() or 1)
"""Threads that decode images."""


class Uint8Images(ABC):
    """Images ``(3, H, W)`` in [0, 1], all multiples of 1/255; a :class:`~vqbench.interfaces.ByteImages`."""

    def __init__(self, length: int) -> None:
        self._length = length

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Tensor:
        return self.batch([index])[0].float().div_(255)

    def batch(self, indices: Sequence[int]) -> Tensor:
        """Images ``(B, 3, H, W)``, uint8.

        Raises:
            IndexError: there is no such image.
            DataError: an image can no longer be read.
        """
        for index in indices:
            if not -self._length <= index < self._length:
                raise IndexError(f"image {index} of {self._length}")
        return torch.from_numpy(self._gather(np.asarray(indices, np.int64) % self._length))

    @abstractmethod
    def _gather(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Pixels ``(B, 3, H, W)`` of indices in ``[0, length)``, in new memory."""


class ArrayImages(Uint8Images):
    """Images of an array ``(N, 3, H, W)``, uint8."""

    def __init__(self, pixels: npt.NDArray[np.uint8]) -> None:
        super().__init__(len(pixels))
        self._pixels = pixels

    def _gather(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        return np.take(self._pixels, indices, axis=0)


class MappedImages(Uint8Images):
    """Images of a file of nothing but the bytes of an array ``(N, 3, H, W)``; read where they are asked for, never as a whole.

    Only the path is pickled.

    Raises:
        DataError: (when read) the file is gone or too short.
    """

    def __init__(self, path: Path, length: int, image_size: int) -> None:
        super().__init__(length)
        self._path, self._shape = path, (length, 3, image_size, image_size)

    @cached_property
    def _pixels(self) -> npt.NDArray[np.uint8]:
        try:
            return np.memmap(self._path, np.uint8, "r", shape=self._shape)
        except (OSError, ValueError) as error:
            raise DataError("decoded images can no longer be read", got=error, hint="Run the command again.") from error

    def _gather(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        return np.asarray(np.take(self._pixels, indices, axis=0))

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in self.__dict__.items() if name != "_pixels"}


class MadeImages(Uint8Images):
    """Images that are made when first asked for, and kept if all of them fit into :data:`CACHE_BYTES`.

    Args:
        length: number of images.
        image_size: H = W in pixels.
        load: image ``(H, W, 3)``, uint8, of an index in ``[0, length)``; always the same for the same index. Called
            from several threads.
    """

    def __init__(self, length: int, image_size: int, load: Callable[[int], npt.NDArray[np.uint8]]) -> None:
        super().__init__(length)
        self._load, self._shape = load, (3, image_size, image_size)
        keep = length * image_size**2 * 3 <= CACHE_BYTES
        self._cache = np.empty((length if keep else 0, *self._shape), np.uint8)
        self._cached = np.zeros(len(self._cache), bool)

    def _gather(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        if not len(self._cache):
            return self._make(indices)
        missing = np.unique(indices[~self._cached[indices]])
        if len(missing):
            self._cache[missing] = self._make(missing)
            self._cached[missing] = True
        return np.take(self._cache, indices, axis=0)

    def _make(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        pixels = np.empty((len(indices), *self._shape), np.uint8)
        with quiet_pillow(), ThreadPoolExecutor(min(THREADS, len(indices))) as pool:
            for row, image in zip(pixels, pool.map(self._load, indices.tolist()), strict=True):
                row[:] = image.transpose(2, 0, 1)
        return pixels
