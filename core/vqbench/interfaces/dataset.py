"""Images to train and to test on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal, Protocol, runtime_checkable

from torch import Tensor

__all__ = ["ByteImages", "Dataset", "Images"]


class Images(Protocol):
    """A finite, fixed sequence of images: the same index always gives the same image."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Tensor:
        """Image ``(3, H, W)``, float32 in [0, 1]."""
        ...


@runtime_checkable
class ByteImages(Images, Protocol):
    """Images of 8 bits a channel that are handed over many at once, as bytes: the way to keep a GPU fed.

    Optional: images that have a ``batch`` are loaded through it, and others one by one. ``images[i]`` is
    ``images.batch([i])[0] / 255`` in float32.
    """

    def batch(self, indices: Sequence[int]) -> Tensor:
        """Images ``(B, 3, H, W)``, uint8, on the CPU; memory of its own, which the caller may change."""
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
        """The images of a split, in an order that depends on the parameters only; :class:`ByteImages` load fastest.

        Anything but RGB is converted here, at the dataset's door.
        """

    def notes(self) -> list[str]:
        """What a reader of the results should know, e.g. files that could not be read; kept in the record."""
        return []
