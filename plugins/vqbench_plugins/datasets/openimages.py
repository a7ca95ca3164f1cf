"""919 photos of Open Images V7."""

from __future__ import annotations

from vqbench.errors import ParameterError
from vqbench.seeds import derive_seed
from vqbench_plugins.datasets.decoding import Interpolation
from vqbench_plugins.datasets.folder import FileDataset
from vqbench_plugins.datasets.image_files import ImageFiles, choose
from vqbench_plugins.datasets.small_images import verified_folder
from vqbench_plugins.datasets.sources import OPENIMAGES_FOLDER, OPENIMAGES_TEST, openimages_assets

__all__ = ["OpenImages"]

LARGEST = 120


class OpenImages(FileDataset):
    """Photos of 120 × 120 pixels, mostly birds and landscapes: a small set of natural images, not a sample of ImageNet.

    The 200 files with the smallest hashes of their names are the test images, the other 719 are for training. Smaller
    sizes are made by resizing the whole image, with an antialiased filter.

    Args:
        image_size: at most 120.
        train_images, test_images: at most so many of each split, those with the smallest hashes; 0 takes all.
        interpolation: ``"bilinear"``, ``"bicubic"`` or ``"lanczos"``, all antialiased.

    Raises:
        ParameterError: a larger image size.
        UnavailableError: the photos are not on this machine.
        DataError: the photos are not those they should be.
    """

    def __init__(
        self,
        image_size: int,
        *,
        train_images: int = 0,
        test_images: int = 0,
        interpolation: Interpolation = "bilinear",
    ) -> None:
        if image_size > LARGEST:
            raise ParameterError(
                "the dataset 'openimages' has no images of that size", got=image_size, expected=f"at most {LARGEST}"
            )
        (asset,) = openimages_assets({})
        folder = verified_folder(asset) / OPENIMAGES_FOLDER
        names = sorted(path.name for path in folder.glob("*.jpg"))
        by_hash = sorted(names, key=lambda name: derive_seed(0, "openimages split", name))
        files = ImageFiles(
            train_root=folder,
            test_root=folder,
            train=choose(sorted(by_hash[OPENIMAGES_TEST:]), train_images),
            test=choose(sorted(by_hash[:OPENIMAGES_TEST]), test_images),
            notes=(),
        )
        super().__init__(image_size, files, interpolation)
