"""A folder of the user's own images."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from vqbench.errors import DataError
from vqbench.interfaces import Dataset, Images
from vqbench_plugins.datasets.decoding import Interpolation, quiet_pillow, read_image
from vqbench_plugins.datasets.image_files import fingerprint, list_images, quoted
from vqbench_plugins.datasets.uint8_images import Uint8Images

__all__ = ["ImageFolder"]


class ImageFolder(Dataset):
    """Images of a folder: shorter side resized, centre cropped.

    Which files belong to which split: :func:`~vqbench_plugins.datasets.image_files.list_images`; how any kind of
    image becomes RGB: :mod:`~vqbench_plugins.datasets.decoding`. Every file of a split is decoded once when the split
    is opened; those that cannot be are left out and named in :meth:`notes`.

    Args:
        image_size: side of the images in pixels.
        root: the folder.
        seed: of the split and of the choice of images.
        test_fraction: share of test images where the folder has no ``train`` and ``test`` (or ``val``).
        train_images, test_images: at most so many files of each split; 0 takes all.
        interpolation: ``"bilinear"`` or ``"lanczos"``, both antialiased.

    Raises:
        UnavailableError: no root is given, or it is not a folder.
        DataError: a split has no files, or (from :meth:`split`) none that can be read.
    """

    def __init__(
        self,
        image_size: int,
        *,
        root: str = "",
        seed: int = 0,
        test_fraction: float = 0.1,
        train_images: int = 0,
        test_images: int = 0,
        interpolation: Interpolation = "bilinear",
    ) -> None:
        super().__init__(image_size)
        self.interpolation: Interpolation = interpolation
        self._files = list_images(
            root, seed=seed, test_fraction=test_fraction, train_images=train_images, test_images=test_images
        )
        self._splits: dict[str, Images] = {}
        self._notes: dict[str, list[str]] = {}

    def split(self, name: Literal["train", "test"]) -> Images:
        if name not in self._splits:
            self._splits[name] = self._open(name)
        return self._splits[name]

    def notes(self) -> list[str]:
        return [*self._files.notes, *(note for notes in self._notes.values() for note in notes)]

    def _open(self, split: Literal["train", "test"]) -> Images:
        names = self._files.train if split == "train" else self._files.test
        check = partial(_why_unreadable, self._files.root, self.image_size, self.interpolation)
        with quiet_pillow(), ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            reasons = dict(zip(names, pool.map(check, names), strict=True))
        readable = [name for name, reason in reasons.items() if reason is None]
        unreadable = [f"{name}: {reason}" for name, reason in reasons.items() if reason is not None]
        if not readable:
            raise DataError(f"none of the {split} images can be read", got=quoted(unreadable))
        notes = [f"unreadable {split} images that were left out: {quoted(unreadable)}"] if unreadable else []
        if split == "test" and (twins := self._twins(readable)):
            notes.append(f"test images whose file is also a training image: {quoted(twins)}")
        self._notes[split] = notes
        load = _Loader([self._files.root / name for name in readable], self.image_size, self.interpolation)
        return Uint8Images(len(readable), self.image_size, load)

    def _twins(self, test: list[str]) -> list[str]:
        trained_on = {fingerprint(self._files.root / name) for name in self._files.train}
        return [name for name in test if fingerprint(self._files.root / name) in trained_on]


class _Loader:
    """Image by index; a class so that a dataset can be pickled to a worker process."""

    def __init__(self, paths: list[Path], image_size: int, interpolation: Interpolation) -> None:
        self.paths, self.image_size = paths, image_size
        self.interpolation: Interpolation = interpolation

    def __call__(self, index: int) -> npt.NDArray[np.uint8]:
        with quiet_pillow():
            return read_image(self.paths[index], self.image_size, self.interpolation)


def _why_unreadable(root: Path, image_size: int, interpolation: Interpolation, name: str) -> str | None:
    try:
        read_image(root / name, image_size, interpolation)
    except DataError as error:
        return str(error.got)
    return None
