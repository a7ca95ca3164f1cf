"""Descriptors of the built-in datasets; importing them imports no torch."""

from __future__ import annotations

from vqbench.specs import DatasetSpec, Parameter
from vqbench_plugins.datasets.image_files import folder_revision
from vqbench_plugins.datasets.photo_files import photos_revision

__all__ = ["DATASETS", "FOLDER", "PHOTOS"]

PHOTOS = DatasetSpec(
    name="photos",
    target="vqbench_plugins.datasets.photos:Photos",
    summary="seeded crops of ten free photos that come with scikit-image; nothing is downloaded",
    revision=photos_revision,
    parameters=(
        Parameter(name="train_images", type="int", default=4096, minimum=1, summary="crops of the training photos"),
        Parameter(name="test_images", type="int", default=256, minimum=1, summary="crops of the test photos"),
        Parameter(name="seed", type="int", default=0, minimum=0, summary="which crops are taken"),
        Parameter(
            name="max_scale",
            type="float",
            default=4.0,
            minimum=1.0,
            summary="largest side of a crop before it is resized, in image sizes; the smallest is 1",
        ),
    ),
    licence="CC0-1.0 AND LicenseRef-public-domain",
    capabilities=frozenset({"offline"}),
)

FOLDER = DatasetSpec(
    name="folder",
    target="vqbench_plugins.datasets.folder:ImageFolder",
    summary="a folder of image files, with train/ and test/ (or val/), or split by a hash of the file names",
    revision=folder_revision,
    parameters=(
        Parameter(name="root", type="str", default="", summary="the folder; must be set", local=True),
        Parameter(name="seed", type="int", default=0, minimum=0, summary="of the split and of the choice of images"),
        Parameter(
            name="test_fraction",
            type="float",
            default=0.1,
            minimum=0.0,
            maximum=1.0,
            summary="share of test images where the folder has no train/ and test/ (or val/)",
        ),
        Parameter(
            name="train_images", type="int", default=0, minimum=0, summary="at most so many for training; 0: all"
        ),
        Parameter(name="test_images", type="int", default=0, minimum=0, summary="at most so many for testing; 0: all"),
        Parameter(
            name="interpolation",
            type="str",
            default="bilinear",
            choices=("bilinear", "lanczos"),
            summary="how the shorter side is resized, with antialiasing",
        ),
    ),
    capabilities=frozenset({"offline"}),
)

DATASETS = (PHOTOS, FOLDER)
"""All of them."""
