"""Descriptors of the built-in datasets; importing them imports no torch."""

from __future__ import annotations

from vqbench.specs import DatasetSpec, Parameter
from vqbench_plugins.datasets.image_files import folder_revision
from vqbench_plugins.datasets.photo_files import photos_revision
from vqbench_plugins.datasets.standard_folders import COCO_VAL, FFHQ, IMAGENET_VAL, standard_revision

__all__ = ["DATASETS", "FOLDER", "PHOTOS"]

TRAIN_IMAGES = Parameter(
    name="train_images", type="int", default=0, minimum=0, summary="at most so many for training; 0: all"
)
TEST_IMAGES = Parameter(
    name="test_images", type="int", default=0, minimum=0, summary="at most so many for testing; 0: all"
)
INTERPOLATION = Parameter(
    name="interpolation",
    type="str",
    default="bilinear",
    choices=("bilinear", "bicubic", "lanczos"),
    summary="how the shorter side is resized, with antialiasing",
)
TRAIN_ROOT = Parameter(
    name="train_root", type="str", default="", summary="the folder of training images; must be set", local=True
)


def _root(holds: str) -> Parameter:
    return Parameter(name="root", type="str", default="", summary=f"{holds}; must be set", local=True)


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
        _root("the folder"),
        Parameter(name="seed", type="int", default=0, minimum=0, summary="of the split and of the choice of images"),
        Parameter(
            name="test_fraction",
            type="float",
            default=0.1,
            minimum=0.0,
            maximum=1.0,
            summary="share of test images where the folder has no train/ and test/ (or val/)",
        ),
        TRAIN_IMAGES,
        TEST_IMAGES,
        INTERPOLATION,
    ),
    capabilities=frozenset({"offline"}),
)

IMAGENET = DatasetSpec(
    name="imagenet-val",
    target="vqbench_plugins.datasets.image_collections:ImageNetVal",
    summary="the 50,000 ILSVRC2012 validation images, from your folder; the training images from another",
    revision=standard_revision(IMAGENET_VAL),
    parameters=(_root("the folder of validation images"), TRAIN_ROOT, TRAIN_IMAGES, TEST_IMAGES, INTERPOLATION),
    paper="Russakovsky et al., ImageNet Large Scale Visual Recognition Challenge, arXiv 1409.0575",
    licence="LicenseRef-ImageNet-terms-of-access",
    capabilities=frozenset({"offline"}),
)

COCO = DatasetSpec(
    name="coco-val",
    target="vqbench_plugins.datasets.image_collections:CocoVal",
    summary="the 5,000 images of COCO's val2017, from your folder; the training images (train2017) from another",
    revision=standard_revision(COCO_VAL),
    parameters=(_root("the folder val2017"), TRAIN_ROOT, TRAIN_IMAGES, TEST_IMAGES, INTERPOLATION),
    paper="Lin et al., Microsoft COCO: Common Objects in Context, arXiv 1405.0312",
    licence="LicenseRef-Flickr-terms-of-use",
    capabilities=frozenset({"offline"}),
)

FACES = DatasetSpec(
    name="ffhq",
    target="vqbench_plugins.datasets.image_collections:Ffhq",
    summary="the 70,000 faces of FFHQ, from your folder: the first 60,000 to train on, the last 10,000 to test on",
    revision=standard_revision(FFHQ),
    parameters=(_root("the folder images1024x1024"), TRAIN_IMAGES, TEST_IMAGES, INTERPOLATION),
    paper="Karras et al., A Style-Based Generator Architecture for Generative Adversarial Networks, arXiv 1812.04948",
    licence="CC-BY-NC-SA-4.0",
    capabilities=frozenset({"offline"}),
)

DATASETS = (PHOTOS, FOLDER, IMAGENET, COCO, FACES)
"""All of them."""
