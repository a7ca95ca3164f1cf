"""Seeded noise: images for what needs images and cares for none."""

from __future__ import annotations

from functools import partial
from typing import Literal

import numpy as np
import numpy.typing as npt

from vqbench.interfaces import Dataset, Images
from vqbench.seeds import derive_seed
from vqbench_plugins.datasets.uint8_images import MadeImages

__all__ = ["Noise"]


class Noise(Dataset):
    """Pixels that are independent and uniform on 0 … 255; nothing is read or downloaded.

    Image i depends on ``(image_size, seed, split, i)`` alone.

    Args:
        image_size: side of the images in pixels.
        train_images, test_images: how many.
        seed: which noise.
    """

    def __init__(self, image_size: int, *, train_images: int = 8, test_images: int = 8, seed: int = 0) -> None:
        super().__init__(image_size)
        self._splits = {
            split: MadeImages(images, image_size, partial(_image, image_size, seed, split))
            for split, images in (("train", train_images), ("test", test_images))
        }

    def split(self, name: Literal["train", "test"]) -> Images:
        return self._splits[name]

    def notes(self) -> list[str]:
        return ["the images are noise: only speed means anything"]


def _image(image_size: int, seed: int, split: str, index: int) -> npt.NDArray[np.uint8]:
    generator = np.random.Generator(np.random.PCG64(derive_seed(seed, "noise", split, str(index))))
    return generator.integers(0, 256, (image_size, image_size, 3), np.uint8)
