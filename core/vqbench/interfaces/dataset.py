"""Images to train and to test on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal, Protocol

from torch import Tensor

__all__ = ["Dataset", "Images"]


class Images(Protocol):
    """A finite, fixed sequence of images: the same index always gives the same image."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Tensor:
        """Image ``(3, H, W)``, float32 in [0, 1]."""
        ...


class Dataset(ABC):
    """A source of training and test images that have no image in common.

    Args:
        image_size: height and width of every image in pixels.

    Raises:
        DataError: the data is unreadable or not what it should be.
        UnavailableError: the data is not on this machine.
    """

    def __init__(self, image_size: int) -> None:
        self.image_size = image_size

    @abstractmethod
    def split(self, name: Literal["train", "test"]) -> Images:
        """The images of a split. Anything but float32 RGB in [0, 1] is converted here, at the dataset's door."""

    def notes(self) -> list[str]:
        """What a reader of the results should know, e.g. files that could not be read; kept in the record."""
        return []
