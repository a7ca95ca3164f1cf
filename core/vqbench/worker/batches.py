"""Training batches that depend on the seed and the step only."""

from __future__ import annotations

from collections.abc import Generator
from functools import lru_cache

import torch
from torch import Tensor

from vqbench.errors import DataError
from vqbench.interfaces import Images
from vqbench.seeds import derive_seed
from vqbench.worker.loading import load_batch, prefetched

__all__ = ["TrainingBatches"]

CPU = torch.device("cpu")


class TrainingBatches:
    """Batches from one endless sequence: a new permutation of all images for each epoch, one after another.

    Batch ``step`` is entries ``[step·B, (step + 1)·B)`` of that sequence, so a resumed run needs no state of
    the sampler, and every epoch shows every image once, whatever the batch size.

    Args:
        images: the training images.
        name: the dataset's id, for messages and the derivation of the permutations' seeds.
        image_size: that they should have.
        batch_size: images per batch; may exceed the number of images.
        seed: the run's seed.
        device: where batches are made.

    Raises:
        DataError: there are no images.
    """

    def __init__(
        self,
        images: Images,
        *,
        name: str,
        image_size: int,
        batch_size: int,
        seed: int,
        device: torch.device = CPU,
    ) -> None:
        if len(images) == 0:
            raise DataError(f"The training split of dataset {name!r} has no images")
        self._images, self._name, self._seed = images, name, seed
        self._image_size, self._batch_size, self._device = image_size, batch_size, device
        self._permutation = lru_cache(maxsize=2)(self._permute)

    def indices(self, step: int) -> list[int]:
        """Which images are in the batch of a step (0 the first)."""
        n = len(self._images)
        places = range(step * self._batch_size, (step + 1) * self._batch_size)
        return [int(self._permutation(place // n)[place % n]) for place in places]

    def batch(self, step: int) -> Tensor:
        """The images ``(B, 3, H, W)`` of a step, float32 in [0, 1], on the device.

        Raises:
            DataError: the dataset returned something else than such images.
        """
        name = f"dataset {self._name!r}"
        return load_batch(self._images, self.indices(step), self._device, name=name, image_size=self._image_size)

    def from_step(self, start: int, stop: int, *, prefetch: bool = False) -> Generator[Tensor, None, None]:
        """The batches of steps ``start`` … ``stop - 1``; with ``prefetch`` a thread makes the next one meanwhile."""
        return prefetched(self.batch, range(start, stop), ahead=prefetch)

    def _permute(self, epoch: int) -> Tensor:
        generator = torch.Generator().manual_seed(derive_seed(self._seed, "data", self._name, f"epoch{epoch}"))
        return torch.randperm(len(self._images), generator=generator)
