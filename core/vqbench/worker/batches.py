"""Training batches that depend on the seed and the step only."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import torch
from torch import Tensor

from vqbench.errors import DataError
from vqbench.interfaces import Images
from vqbench.seeds import derive_seed

__all__ = ["TrainingBatches"]


class TrainingBatches:
    """Batches from one endless sequence: a new permutation of all images for each epoch, one after another.

    Batch ``step`` is entries ``[step·B, (step + 1)·B)`` of that sequence, so a resumed run needs no state of
    the sampler, and every epoch shows every image once, whatever the batch size.

    Args:
        images: the training images.
        name: what to call them in messages, and in the derivation of the permutations' seeds.
        image_size: that they should have.
        batch_size: images per batch; may exceed the number of images.
        seed: the run's seed.

    Raises:
        DataError: there are no images.
    """

    def __init__(self, images: Images, *, name: str, image_size: int, batch_size: int, seed: int) -> None:
        if len(images) == 0:
            raise DataError(f"The training split of {name} has no images")
        self._images, self._name, self._seed = images, name, seed
        self._shape, self._batch_size = (3, image_size, image_size), batch_size
        self._permutation = lru_cache(maxsize=2)(self._permute)

    def indices(self, step: int) -> list[int]:
        """Which images are in the batch of a step (0 the first)."""
        n = len(self._images)
        places = range(step * self._batch_size, (step + 1) * self._batch_size)
        return [int(self._permutation(place // n)[place % n]) for place in places]

    def batch(self, step: int) -> Tensor:
        """The images ``(B, 3, H, W)`` of a step, float32 in [0, 1], on the CPU.

        Raises:
            DataError: the dataset returned something else than such images.
        """
        images = [self._image(index) for index in self.indices(step)]
        batch = torch.stack(images)
        low, high = torch.aminmax(batch)
        if not (low >= 0 and high <= 1):  # also where there is a NaN
            raise DataError(f"{self._name} has images outside [0, 1]", got=f"{low:g} to {high:g}", expected="[0, 1]")
        return batch

    def from_step(self, start: int, stop: int, *, prefetch: bool = False) -> Generator[Tensor, None, None]:
        """The batches of steps ``start`` … ``stop - 1``; with ``prefetch`` a thread makes the next one
        meanwhile.
        """
        if not prefetch:
            yield from map(self.batch, range(start, stop))
            return
        with ThreadPoolExecutor(1, thread_name_prefix="batches") as pool:
            upcoming = pool.submit(self.batch, start) if start < stop else None
            for step in range(start, stop):
                assert upcoming is not None
                batch = upcoming.result()
                upcoming = pool.submit(self.batch, step + 1) if step + 1 < stop else None
                yield batch

    def _image(self, index: int) -> Tensor:
        image = self._images[index]
        if image.shape != self._shape or image.dtype != torch.float32:
            raise DataError(
                f"{self._name} returned a malformed image at index {index}",
                got=f"{image.dtype} {tuple(image.shape)}",
                expected=f"torch.float32 {self._shape}",
            )
        return image

    def _permute(self, epoch: int) -> Tensor:
        generator = torch.Generator().manual_seed(derive_seed(self._seed, "data", self._name, f"epoch{epoch}"))
        return torch.randperm(len(self._images), generator=generator)
