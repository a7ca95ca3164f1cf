"""Batches of images: as bytes where a dataset has them, and the same numbers either way."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vqbench.errors import DataError
from vqbench.interfaces import ByteImages
from vqbench.worker.batches import TrainingBatches
from vqbench.worker.evaluate import Batches
from vqbench.worker.loading import load_batch, prefetched
from vqbench_plugins.datasets.uint8_images import ArrayImages, MadeImages

CPU = torch.device("cpu")


@pytest.fixture
def pixels() -> np.ndarray:
    levels = np.arange(256, dtype=np.uint8)  # every level occurs
    return np.random.default_rng(0).permutation(np.tile(levels, 9)).reshape(12, 3, 8, 8)


class OneByOne:
    """The same images without a way to get several."""

    def __init__(self, pixels):
        self.pixels = pixels

    def __len__(self):
        return len(self.pixels)

    def __getitem__(self, index):
        return torch.from_numpy(self.pixels[index]).float() / 255


def test_bytes_and_floats_are_the_same_images_bit_for_bit(pixels):
    many, single = ArrayImages(pixels), OneByOne(pixels)
    assert isinstance(many, ByteImages)
    assert not isinstance(single, ByteImages)
    for indices in ([3], [5, 0, 5, 11]):
        batch = load_batch(many, indices, CPU, name="x", image_size=8)
        assert batch.dtype == torch.float32
        assert torch.equal(batch, load_batch(single, indices, CPU, name="x", image_size=8))
        assert torch.equal(batch, torch.stack([many[i] for i in indices]))
        assert torch.equal(batch.mul(255).round().byte(), torch.from_numpy(pixels[indices]))
    kwargs = {"name": "x", "image_size": 8, "batch_size": 5, "seed": 1}
    assert torch.equal(TrainingBatches(many, **kwargs).batch(2), TrainingBatches(single, **kwargs).batch(2))
    for a, b in zip(Batches(many, 5, CPU), Batches(single, 5, CPU), strict=True):
        assert torch.equal(a, b)


def test_writing_into_a_batch_does_not_change_the_dataset(pixels):
    before = pixels.copy()
    for images in (ArrayImages(pixels), MadeImages(12, 8, lambda i: pixels[i].transpose(1, 2, 0))):
        images.batch([2, 3]).zero_()
        images.batch(range(2, 4)).zero_()
        images[2].zero_()
        assert torch.equal(images.batch(range(12)), torch.from_numpy(before))
        with pytest.raises(IndexError):
            images.batch([0, 12])
        assert torch.equal(images[-1], images[11])


@pytest.mark.parametrize(
    "wrong",
    [torch.zeros(2, 3, 8, 8), torch.zeros(1, 3, 8, 8, dtype=torch.uint8), torch.zeros(2, 3, 8, 9, dtype=torch.uint8)],
)
def test_a_malformed_batch_of_bytes(pixels, wrong):
    class Wrong(ArrayImages):
        def batch(self, indices):
            return wrong

    with pytest.raises(DataError, match="plugin/set returned a malformed batch"):
        load_batch(Wrong(pixels), [0, 1], CPU, name="plugin/set", image_size=8)


@pytest.mark.parametrize("ahead", [False, True])
def test_prefetching_keeps_the_order_and_passes_errors_on(ahead):
    assert list(prefetched(lambda step: torch.tensor(step), range(0, 10, 4), ahead=ahead)) == [0, 4, 8]
    assert list(prefetched(lambda step: torch.tensor(step), range(0), ahead=ahead)) == []

    def fails(step):
        if step == 2:
            raise DataError("gone")
        return torch.tensor(step)

    batches = prefetched(fails, range(5), ahead=ahead)
    assert [next(batches), next(batches)] == [0, 1]
    with pytest.raises(DataError, match="gone"):
        next(batches)
