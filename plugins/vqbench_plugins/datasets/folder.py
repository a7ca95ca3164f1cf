"""A folder of the user's own images."""

from __future__ import annotations

from typing import Literal

from vqbench.errors import DataError
from vqbench.interfaces import Dataset, Images
from vqbench_plugins.datasets.decoded import DecodedFiles, decode_files
from vqbench_plugins.datasets.decoding import Interpolation
from vqbench_plugins.datasets.image_files import ImageFiles, fingerprint, list_images, quoted

__all__ = ["FileDataset", "ImageFolder", "remarks"]


class FileDataset(Dataset):
    """Image files: shorter side resized, centre cropped.

    How any kind of image becomes RGB: :mod:`~vqbench_plugins.datasets.decoding`. All files of a split are decoded once,
    when the split is first opened on this machine (:mod:`~vqbench_plugins.datasets.decoded`); those that cannot be are
    left out and named in :meth:`notes`.

    Args:
        image_size: side of the images in pixels.
        files: which files.
        interpolation: ``"bilinear"``, ``"bicubic"`` or ``"lanczos"``, all antialiased.

    Raises:
        DataError: (from :meth:`split`) no file can be read.
    """

    def __init__(self, image_size: int, files: ImageFiles, interpolation: Interpolation) -> None:
        super().__init__(image_size)
        self.interpolation: Interpolation = interpolation
        self._files = files
        self._splits: dict[str, Images] = {}
        self._notes: dict[str, list[str]] = {}

    def split(self, name: Literal["train", "test"]) -> Images:
        if name not in self._splits:
            decoded = decode_files(self._files.root(name), self._files.names(name), self.image_size, self.interpolation)
            if not decoded.names:
                raise DataError(f"none of the {name} images can be read", got=quoted(decoded.unreadable))
            self._notes[name] = self._remarks(name, decoded)
            self._splits[name] = decoded.images
        return self._splits[name]

    def notes(self) -> list[str]:
        return [*self._files.notes, *(note for notes in self._notes.values() for note in notes)]

    def _remarks(self, split: Literal["train", "test"], decoded: DecodedFiles) -> list[str]:
        """Notes about a split that was opened."""
        return remarks(split, self.image_size, decoded)


def remarks(split: str, image_size: int, decoded: DecodedFiles) -> list[str]:
    """Notes about images that could not be read, or were enlarged."""
    notes = []
    if decoded.unreadable:
        notes.append(f"unreadable {split} images that were left out: {quoted(decoded.unreadable)}")
    if decoded.enlarged:
        notes.append(f"{split} images smaller than {image_size} pixels that were enlarged: {quoted(decoded.enlarged)}")
    return notes


class ImageFolder(FileDataset):
    """Images of a folder, in which :func:`~vqbench_plugins.datasets.image_files.list_images` finds the splits.

    Args:
        image_size: side of the images in pixels.
        root: the folder.
        seed: of the split and of the choice of images.
        test_fraction: share of test images where the folder has no ``train`` and ``test`` (or ``val``).
        train_images, test_images: at most so many files of each split; 0 takes all.
        interpolation: ``"bilinear"``, ``"bicubic"`` or ``"lanczos"``, all antialiased.

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
        files = list_images(
            root, seed=seed, test_fraction=test_fraction, train_images=train_images, test_images=test_images
        )
        super().__init__(image_size, files, interpolation)

    def _remarks(self, split: Literal["train", "test"], decoded: DecodedFiles) -> list[str]:
        notes = super()._remarks(split, decoded)
        if split == "test" and (twins := self._twins(decoded)):
            notes.append(f"test images whose file is also a training image: {quoted(twins)}")
        return notes

    def _twins(self, test: DecodedFiles) -> list[str]:
        trained_on = {fingerprint(self._files.root("train") / name) for name in self._files.train}
        return [name for name in test.names if fingerprint(self._files.root("test") / name) in trained_on]
