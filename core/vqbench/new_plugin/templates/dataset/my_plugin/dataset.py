"""Seeded images: gratings of random direction, frequency and colour."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from vqbench import Dataset, Images

FIRST_SEED = {"train": 0, "test": 10**6}  # an image is made from its seed: no two splits have one in common


class MyComponent(Dataset):
    """Gratings: image i depends on the image size, the split and i alone."""

    def __init__(self, image_size: int, *, train_images: int, test_images: int) -> None:
        super().__init__(image_size)
        self.sizes = {"train": train_images, "test": test_images}

    def split(self, name: Literal["train", "test"]) -> Images:
        return Gratings(self.image_size, FIRST_SEED[name], self.sizes[name])


@dataclass(frozen=True)
class Gratings:
    """A fixed sequence of images; `batch` hands over bytes, many at once, which keeps a GPU fed."""

    image_size: int
    first_seed: int
    count: int

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Tensor:  # (3, H, W), float32 in [0, 1]
        if not 0 <= index < self.count:
            raise IndexError(f"image {index} of {self.count}")
        return self.batch([index])[0].float() / 255

    def batch(self, indices: Sequence[int]) -> Tensor:  # (B, 3, H, W), uint8
        return torch.stack([grating(self.first_seed + index, self.image_size) for index in indices])


def grating(seed: int, size: int) -> Tensor:
    """A sine wave across the image in two colours, (3, size, size), uint8."""
    generator = torch.Generator().manual_seed(seed)
    direction, waves, phase = torch.rand(3, generator=generator).tolist()
    first, second = torch.rand(2, 3, 1, 1, generator=generator)
    rows, columns = torch.meshgrid(*(torch.arange(size) / size,) * 2, indexing="ij")
    along = rows * math.sin(math.pi * direction) + columns * math.cos(math.pi * direction)
    mix = torch.sin(2 * math.pi * ((1 + 7 * waves) * along + phase)) / 2 + 0.5
    return ((first * mix + second * (1 - mix)) * 255).round().to(torch.uint8)
