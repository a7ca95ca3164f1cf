"""Noise: images for timing."""

from __future__ import annotations

import torch

from vqbench.interfaces import ByteImages
from vqbench_plugins.datasets.noise import Noise


def pixels(split: str = "test", count: int = 3, **options) -> torch.Tensor:
    images = Noise(16, **options).split(split)
    assert isinstance(images, ByteImages)
    return images.batch(range(count))


def test_noise_is_uniform_and_the_same_every_time() -> None:
    assert torch.equal(pixels(), pixels())
    assert pixels().shape == (3, 3, 16, 16)
    counts = torch.bincount(pixels(count=8).flatten().long() // 64, minlength=4)
    assert counts.min() > 0.8 * counts.float().mean()


def test_splits_seeds_and_images_differ() -> None:
    made = [*pixels(), *pixels("train"), *pixels(seed=1)]
    assert len({tuple(image.flatten().tolist()) for image in made}) == 9


def test_more_images_leave_the_others_as_they_are() -> None:
    assert torch.equal(pixels(test_images=20), pixels())
    assert len(Noise(16, train_images=5, test_images=7).split("train")) == 5
