"""Datasets of the Hugging Face hub."""

from __future__ import annotations

import io
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import datasets

from vqbench.errors import DataError
from vqbench.interfaces import Dataset, Images
from vqbench_plugins.datasets.decoded import decode_once
from vqbench_plugins.datasets.decoding import DecodedImage, Interpolation, decode_image
from vqbench_plugins.datasets.folder import remarks
from vqbench_plugins.datasets.hub_files import hub_folder
from vqbench_plugins.datasets.image_files import choose, quoted

__all__ = ["HubDataset"]


class HubDataset(Dataset):
    """Images of a fetched dataset: shorter side resized, centre cropped, as those of a folder. No network is used.

    Args:
        image_size: side of the images in pixels.
        repo: ``owner/name``.
        commit: of the repository, 40 hexadecimal digits.
        config: configuration; empty for the only or default one.
        train_split, test_split: names of splits.
        column: that holds the images.
        train_images, test_images: at most so many, those with the smallest hashes of their position; 0 takes all.
        interpolation: ``"bilinear"``, ``"bicubic"`` or ``"lanczos"``, all antialiased.

    Raises:
        ParameterError: repository or commit are not given, or the splits are one.
        UnavailableError: it was not fetched.
        DataError: what was fetched cannot be read.
    """

    def __init__(
        self,
        image_size: int,
        *,
        repo: str = "",
        commit: str = "",
        config: str = "",
        train_split: str = "train",
        test_split: str = "test",
        column: str = "image",
        train_images: int = 0,
        test_images: int = 0,
        interpolation: Interpolation = "bilinear",
    ) -> None:
        super().__init__(image_size)
        splits = {"train_split": train_split, "test_split": test_split}
        self._folder = hub_folder({"repo": repo, "commit": commit, "config": config, **splits, "column": column})
        self._column, self.interpolation = column, interpolation
        self._limits = {"train": train_images, "test": test_images}
        self._splits: dict[str, Images] = {}
        self._notes: dict[str, list[str]] = {}

    def split(self, name: Literal["train", "test"]) -> Images:
        if name not in self._splits:
            read = _Reader(self._folder / name, self._column, self.image_size, self.interpolation)
            names = choose([f"{i:09}" for i in range(len(read.data))], self._limits[name])
            what = [self._folder.name, name, self.interpolation, names]
            decoded = decode_once(what, names, self.image_size, read)
            if not decoded.names:
                raise DataError(f"none of the {name} images can be read", got=quoted(decoded.unreadable))
            self._notes[name] = remarks(name, self.image_size, decoded)
            self._splits[name] = decoded.images
        return self._splits[name]

    def notes(self) -> list[str]:
        return [note for notes in self._notes.values() for note in notes]


class _Reader:
    """Image by position; a class so that it can be pickled, and opens the files anew."""

    def __init__(self, folder: Path, column: str, image_size: int, interpolation: Interpolation) -> None:
        self.folder, self.column, self.image_size = folder, column, image_size
        self.interpolation: Interpolation = interpolation

    @cached_property
    def data(self) -> Any:
        try:
            return datasets.load_from_disk(str(self.folder))
        except (OSError, ValueError) as error:
            raise DataError(
                f"the fetched dataset in {str(self.folder.parent)!r} cannot be read",
                got=error,
                hint="Delete that folder and fetch it again.",
            ) from error

    def __call__(self, name: str) -> DecodedImage:
        content = self.data[int(name)][self.column]["bytes"]
        if not isinstance(content, bytes):  # a path, perhaps: of no file of ours
            raise DataError(f"the image {name} cannot be read", got="no bytes")
        return decode_image(io.BytesIO(content), self.image_size, self.interpolation, name=name)

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in self.__dict__.items() if name != "data"}
