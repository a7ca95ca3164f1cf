"""Seeded crops of the photos in scikit-image's wheel: real images without a download."""

from __future__ import annotations

import io
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from vqbench.errors import ParameterError
from vqbench.interfaces import Dataset, Images
from vqbench.seeds import derive_seed
from vqbench_plugins.datasets.photo_files import TEST_PHOTOS, TRAIN_PHOTOS, PhotoFile, photo_folder, read_photo
from vqbench_plugins.datasets.uint8_images import MadeImages

__all__ = ["Photos"]


class Photos(Dataset):
    """Square crops of seven training photos and, for the test, of three others.

    Crop i is taken from the photo whose turn it is; turns go round by the photos' shares. Its side is log-uniform
    between ``image_size`` and ``max_scale`` times that (or the photo's shorter side), its place uniform; it is shrunk
    with an antialiased bicubic filter and never enlarged or flipped. Crop i depends on ``(image_size, max_scale,
    seed, split, i)`` alone: asking for more crops leaves the others as they are. Side and place come from SHA-256, so
    no library's random generator has a say in them. :mod:`~vqbench_plugins.datasets.photo_files` lists the photos and
    their licences.

    Args:
        image_size: side of the images in pixels, at most 300 (the smallest photo's shorter side).
        train_images, test_images: number of crops.
        seed: which crops.
        max_scale: largest side of a crop before it is shrunk, in image sizes; at least 1.

    Raises:
        UnavailableError: scikit-image or its photos are not installed.
        DataError: a photo is not the one it should be.
        ParameterError: ``image_size`` exceeds a photo.
    """

    def __init__(
        self,
        image_size: int,
        *,
        train_images: int = 4096,
        test_images: int = 256,
        seed: int = 0,
        max_scale: float = 4.0,
    ) -> None:
        super().__init__(image_size)
        self.seed, self.max_scale = seed, max_scale
        files = {"train": TRAIN_PHOTOS, "test": TEST_PHOTOS}
        folder = photo_folder()
        decoded = {
            split: {photo: _decode(read_photo(folder, photo)) for photo in photos} for split, photos in files.items()
        }
        shortest = min(min(pixels.shape[:2]) for photos in decoded.values() for pixels in photos.values())
        if image_size > shortest:
            raise ParameterError(
                "the dataset 'photos' has no images of that size", got=image_size, expected=f"at most {shortest}"
            )
        sizes = {"train": train_images, "test": test_images}
        self._splits = {
            split: MadeImages(sizes[split], image_size, _Crops(self, split, _turns(photos)))
            for split, photos in decoded.items()
        }

    def split(self, name: Literal["train", "test"]) -> Images:
        return self._splits[name]

    def notes(self) -> list[str]:
        return [
            f"the {len(self._splits['test'])} test images are crops of {len(TEST_PHOTOS)} photos: "
            "intervals over them speak of the choice of crops, not of photos"
        ]


class _Crops:
    """The crops of one split, by index; a class so that a dataset can be pickled to a worker process."""

    def __init__(self, dataset: Photos, split: str, turns: list[npt.NDArray[np.uint8]]) -> None:
        self.image_size, self.max_scale, self.seed = dataset.image_size, dataset.max_scale, dataset.seed
        self.split, self.turns = split, turns

    def __call__(self, index: int) -> npt.NDArray[np.uint8]:
        photo = self.turns[index % len(self.turns)]
        height, width = photo.shape[:2]
        largest = min(self.max_scale * self.image_size, height, width)
        side = round(self.image_size * (largest / self.image_size) ** self._uniform(index, "side"))
        left = int((width - side + 1) * self._uniform(index, "left"))
        top = int((height - side + 1) * self._uniform(index, "top"))
        # cropped before it is resized: the filter must not reach beyond the crop
        crop = Image.fromarray(photo[top : top + side, left : left + side])
        if side == self.image_size:
            return np.asarray(crop)
        return np.asarray(crop.resize((self.image_size, self.image_size), Image.Resampling.BICUBIC))

    def _uniform(self, index: int, purpose: str) -> float:
        """In [0, 1): 53 bits, so that it can never round up to 1."""
        return (derive_seed(self.seed, "photos", self.split, str(index), purpose) >> 10) / 2**53


def _turns(photos: dict[PhotoFile, npt.NDArray[np.uint8]]) -> list[npt.NDArray[np.uint8]]:
    return [pixels for photo, pixels in photos.items() for _ in range(photo.share)]


def _decode(content: bytes) -> npt.NDArray[np.uint8]:
    """RGB pixels ``(H, W, 3)``; a grey photo becomes three equal channels."""
    with Image.open(io.BytesIO(content), formats=("PNG", "JPEG")) as image:
        return np.asarray(image.convert("RGB"))
