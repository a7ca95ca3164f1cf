"""ImageNet's and COCO's validation images and FFHQ, from folders that the user has."""

from __future__ import annotations

from typing import ClassVar, Literal

from vqbench.errors import DataError
from vqbench_plugins.datasets.decoded import DecodedFiles
from vqbench_plugins.datasets.decoding import Interpolation
from vqbench_plugins.datasets.folder import FileDataset
from vqbench_plugins.datasets.image_files import quoted
from vqbench_plugins.datasets.standard_folders import COCO_VAL, FFHQ, IMAGENET_VAL, StandardFolder, list_standard

__all__ = ["CocoVal", "Ffhq", "ImageNetVal"]


class _Collection(FileDataset):
    """A collection whose number of test images is known: unlike a folder's, none may be missing or broken.

    Args:
        image_size: side of the images in pixels.
        root: the folder of :attr:`standard`.
        train_root: the folder of training images, any number; a broken one is left out with a note.
        train_images, test_images: at most so many; 0 takes all.
        interpolation: ``"bilinear"``, ``"bicubic"`` or ``"lanczos"``, all antialiased.

    Raises:
        UnavailableError: a folder is not given or not there.
        DataError: not the expected number of images; (from :meth:`split`) a test image that cannot be read.
    """

    standard: ClassVar[StandardFolder]

    def __init__(
        self,
        image_size: int,
        *,
        root: str = "",
        train_root: str = "",
        train_images: int = 0,
        test_images: int = 0,
        interpolation: Interpolation = "bilinear",
    ) -> None:
        files = list_standard(
            self.standard, root, train_root=train_root, train_images=train_images, test_images=test_images
        )
        super().__init__(image_size, files, interpolation)

    def _remarks(self, split: Literal["train", "test"], decoded: DecodedFiles) -> list[str]:
        if split == "test" and decoded.unreadable:
            raise DataError(
                f"test images of the dataset {self.standard.name!r} cannot be read",
                got=quoted(decoded.unreadable),
                expected="all of them",
                hint="Copy or unpack these files again.",
            )
        return super()._remarks(split, decoded)


class ImageNetVal(_Collection):
    """The 50,000 validation images of ILSVRC2012."""

    standard = IMAGENET_VAL


class CocoVal(_Collection):
    """The 5,000 images of COCO's val2017."""

    standard = COCO_VAL


class Ffhq(_Collection):
    """FFHQ: the last 10,000 of its 70,000 images, and the others to train on."""

    standard = FFHQ

    def __init__(
        self,
        image_size: int,
        *,
        root: str = "",
        train_images: int = 0,
        test_images: int = 0,
        interpolation: Interpolation = "bilinear",
    ) -> None:
        super().__init__(
            image_size, root=root, train_images=train_images, test_images=test_images, interpolation=interpolation
        )
