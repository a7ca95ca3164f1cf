"""CIFAR-10 and Fashion-MNIST: small images, all in memory as bytes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from vqbench.assets import Asset, find
from vqbench.errors import DataError, ParameterError, UnavailableError
from vqbench.interfaces import Dataset, Images
from vqbench_plugins.datasets.sources import CIFAR10_FILES, FASHION_MNIST_FILES, cifar10_assets, fashion_mnist_assets
from vqbench_plugins.datasets.uint8_images import ArrayImages

__all__ = ["Cifar10", "FashionMnist", "verified_folder"]


def verified_folder(asset: Asset) -> Path:
    """The folder that an asset's files lie below, their hashes verified.

    Raises:
        UnavailableError: it is not on this machine.
        DataError: a file is damaged.
    """
    located = find(asset)
    if located is None:
        raise UnavailableError(f"the dataset {asset.name!r} is not on this machine", hint=f"Run `{asset.command}`.")
    files = located.form.files
    return located.path if len(files) > 1 else located.path.parent


class _SmallImages(Dataset):
    """Images of pinned files; a split is read when first asked for, and the hashes of its dataset's files are verified.

    Args:
        image_size: one of :attr:`sizes`.
        train_images, test_images: the first so many of the files; 0 takes all. (Both datasets are in random order.)

    Raises:
        ParameterError: another image size.
        UnavailableError: the files are not on this machine.
        DataError: a file is not the one it should be.
    """

    sizes: ClassVar[tuple[int, ...]]

    def __init__(self, image_size: int, *, train_images: int = 0, test_images: int = 0) -> None:
        super().__init__(image_size)
        (self._asset,) = self._assets()
        if image_size not in self.sizes:
            raise ParameterError(
                f"the dataset {self._asset.name!r} has no images of that size",
                got=image_size,
                expected=" or ".join(map(str, self.sizes)),
            )
        self._limits = {"train": train_images, "test": test_images}
        self._folder = verified_folder(self._asset)
        self._splits: dict[str, Images] = {}

    def split(self, name: Literal["train", "test"]) -> Images:
        if name not in self._splits:
            try:
                pixels = self._read(self._folder, name)
            except (OSError, ValueError) as error:
                raise DataError(f"the files of {self._asset.name!r} cannot be read", got=error) from error
            self._splits[name] = ArrayImages(pixels[: self._limits[name] or None])
        return self._splits[name]

    @abstractmethod
    def _assets(self) -> Sequence[Asset]:
        """The one asset that holds the files."""

    @abstractmethod
    def _read(self, folder: Path, split: str) -> npt.NDArray[np.uint8]:
        """All images ``(N, 3, H, W)`` of a split."""


class Cifar10(_SmallImages):
    """CIFAR-10 (Krizhevsky, 2009): 50,000 training and 10,000 test images of 32 × 32, in the files' order."""

    sizes = (32,)

    def _assets(self) -> Sequence[Asset]:
        return cifar10_assets({})

    def _read(self, folder: Path, split: str) -> npt.NDArray[np.uint8]:
        paths = [path for path in CIFAR10_FILES if ("test" in Path(path).name) == (split == "test")]
        records = [np.fromfile(folder / path, np.uint8).reshape(-1, 3073) for path in paths]
        return np.concatenate([of_file[:, 1:] for of_file in records]).reshape(-1, 3, 32, 32)  # less the labels


class FashionMnist(_SmallImages):
    """Fashion-MNIST (Xiao et al., 2017): 60,000 training and 10,000 test images of 28 × 28 in grey.

    Grey becomes three equal channels. At an image size of 32 a border of two black pixels, the images' own background, is
    added on every side: nothing is resized.
    """

    sizes = (28, 32)

    def _assets(self) -> Sequence[Asset]:
        return fashion_mnist_assets({})

    def _read(self, folder: Path, split: str) -> npt.NDArray[np.uint8]:
        train, test = FASHION_MNIST_FILES
        grey = np.fromfile(folder / (test if split == "test" else train), np.uint8, offset=16).reshape(-1, 28, 28)
        border = (self.image_size - 28) // 2
        framed = np.pad(grey, ((0, 0), (border, border), (border, border)))
        return np.repeat(framed[:, None], 3, axis=1)
