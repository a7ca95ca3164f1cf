"""Loading images: each way beside a peer in the same run; ``extra_info`` has images per second of both and their ratio."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vqbench.worker.batches import TrainingBatches
from vqbench_plugins.datasets.folder import ImageFolder
from vqbench_plugins.datasets.photos import Photos
from vqbench_plugins.datasets.uint8_images import ArrayImages

FILES = 256
SIZE = 256
BATCH = 64


class OneByOne:
    """Images without a ``batch``: they are loaded and stacked one by one."""

    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.images[index]


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """A folder of JPEG files of 320 × 320, of photos."""
    folder = tmp_path_factory.mktemp("images")
    crops = Photos(SIZE, train_images=FILES, test_images=1).split("train")
    for split, count in (("train", FILES), ("test", 1)):
        (folder / split / "class").mkdir(parents=True)
        for i in range(count):
            pixels = crops.batch([i])[0].permute(1, 2, 0).numpy()
            Image.fromarray(pixels).resize((320, 320)).save(folder / split / "class" / f"{i:04}.jpg", quality=90)
    return folder


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("VQBENCH_CACHE", str(tmp_path))
    return tmp_path


def _beside(benchmark, ours: Callable[[], int], peer: Callable[[], int], *, rounds: int = 5, fresh=None) -> None:
    """Measure both in turns; each returns how many images it loaded."""
    seconds = []

    def setup() -> None:
        start = time.perf_counter()
        number = peer()
        seconds.append((time.perf_counter() - start) / number)
        if fresh is not None:
            fresh()

    number = benchmark.pedantic(ours, setup=setup, rounds=rounds, warmup_rounds=0 if fresh else 1)
    mine, theirs = number / benchmark.stats.stats.median, 1 / statistics.median(seconds)
    benchmark.extra_info.update(images_per_second=round(mine), peer_images_per_second=round(theirs))
    benchmark.extra_info["ratio"] = round(mine / theirs, 2)


def _epoch(images, size: int, batch: int) -> Callable[[], int]:
    batches = TrainingBatches(images, name="x", image_size=size, batch_size=batch, seed=0)
    steps = range(len(images) // batch)
    return lambda: sum(len(batches.batch(step)) for step in steps)


def _loader(folder: Path) -> Callable[[], int]:
    """What a PyTorch user would write: torchvision's folder and transforms, a worker process for each core."""
    datasets, transforms = pytest.importorskip("torchvision.datasets"), pytest.importorskip("torchvision.transforms")
    steps = [transforms.Resize(SIZE), transforms.CenterCrop(SIZE), transforms.PILToTensor()]
    images = datasets.ImageFolder(str(folder), transform=transforms.Compose(steps))
    loader = torch.utils.data.DataLoader(
        images, batch_size=BATCH, shuffle=True, num_workers=os.cpu_count() or 1, persistent_workers=True
    )
    return lambda: sum(len(batch.float().div_(255)) for batch, _ in loader)


def test_an_epoch_of_small_images_in_memory(benchmark):
    """CIFAR-10's shape; the peer stacks images one by one."""
    images = ArrayImages(np.random.default_rng(0).integers(0, 256, (20_000, 3, 32, 32), dtype=np.uint8))
    _beside(benchmark, _epoch(images, 32, 128), _epoch(OneByOne(images), 32, 128))


def test_an_epoch_of_a_folder_that_was_decoded(benchmark, root, cache):
    images = ImageFolder(SIZE, root=str(root)).split("train")
    _beside(benchmark, _epoch(images, SIZE, BATCH), _loader(root / "train"))


def test_the_first_epoch_of_a_folder(benchmark, root, cache):
    """Decoding, writing, and the epoch itself."""
    folder = iter(range(100))

    def fresh() -> None:
        os.environ["VQBENCH_CACHE"] = str(cache / str(next(folder)))

    def first() -> int:
        return _epoch(ImageFolder(SIZE, root=str(root)).split("train"), SIZE, BATCH)()

    _beside(benchmark, first, _loader(root / "train"), rounds=3, fresh=fresh)
