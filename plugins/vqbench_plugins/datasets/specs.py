"""Descriptors of the built-in datasets; importing them imports no torch."""

from __future__ import annotations

from vqbench.specs import DatasetSpec, Parameter, Requirement
from vqbench_plugins.datasets.hub_files import hub_revision
from vqbench_plugins.datasets.image_files import folder_revision
from vqbench_plugins.datasets.photo_files import photos_revision
from vqbench_plugins.datasets.sources import cifar10_revision, fashion_mnist_revision, openimages_revision
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
    image_sizes=range(1, 301),
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

CIFAR10 = DatasetSpec(
    name="cifar10",
    target="vqbench_plugins.datasets.small_images:Cifar10",
    summary="CIFAR-10: 50,000 training and 10,000 test images of 32 × 32",
    revision=cifar10_revision,
    assets="vqbench_plugins.datasets.sources:cifar10_assets",
    image_sizes=(32,),
    parameters=(TRAIN_IMAGES, TEST_IMAGES),
    paper="Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009",
    licence="LicenseRef-none-stated",
)

FASHION_MNIST = DatasetSpec(
    name="fashion_mnist",
    target="vqbench_plugins.datasets.small_images:FashionMnist",
    summary="Fashion-MNIST: 60,000 training and 10,000 test images of 28 × 28 in grey, or framed in black to 32 × 32",
    revision=fashion_mnist_revision,
    assets="vqbench_plugins.datasets.sources:fashion_mnist_assets",
    image_sizes=(28, 32),
    parameters=(TRAIN_IMAGES, TEST_IMAGES),
    paper="Xiao et al., Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms, arXiv 1708.07747",
    licence="MIT",
)

OPENIMAGES = DatasetSpec(
    name="openimages",
    target="vqbench_plugins.datasets.openimages:OpenImages",
    summary="919 photos of Open Images V7 (719 to train on, 200 to test on) of 120 × 120; no sample of ImageNet",
    revision=openimages_revision,
    assets="vqbench_plugins.datasets.sources:openimages_assets",
    image_sizes=range(1, 121),
    parameters=(TRAIN_IMAGES, TEST_IMAGES, INTERPOLATION),
    paper="Kuznetsova et al., The Open Images Dataset V4, arXiv 1811.00982",
    licence="CC-BY-2.0",
)

HUB = DatasetSpec(
    name="hf",
    target="vqbench_plugins.datasets.hub:HubDataset",
    summary="a dataset of the Hugging Face hub at a pinned commit, fetched once with the library datasets",
    revision=hub_revision,
    fetch="vqbench_plugins.datasets.hub_files:fetch_hub",
    parameters=(
        Parameter(name="repo", type="str", default="", summary="owner/name of the dataset; must be set"),
        Parameter(name="commit", type="str", default="", summary="40 hexadecimal digits; must be set"),
        Parameter(name="config", type="str", default="", summary="configuration; empty: the only or default one"),
        Parameter(name="train_split", type="str", default="train", summary="name of the split to train on"),
        Parameter(name="test_split", type="str", default="test", summary="name of the split to test on"),
        Parameter(name="column", type="str", default="image", summary="column that holds the images"),
        TRAIN_IMAGES,
        TEST_IMAGES,
        INTERPOLATION,
    ),
    requires=(Requirement(module="datasets", install="pip install 'vqbench[hf]'"),),
)

NOISE = DatasetSpec(
    name="noise",
    target="vqbench_plugins.datasets.noise:Noise",
    summary="seeded noise, for measuring speed alone; nothing is downloaded",
    revision=lambda parameters: "1",
    parameters=(
        Parameter(name="train_images", type="int", default=8, minimum=1, summary="training images"),
        Parameter(name="test_images", type="int", default=8, minimum=1, summary="test images"),
        Parameter(name="seed", type="int", default=0, minimum=0, summary="which noise"),
    ),
    capabilities=frozenset({"offline"}),
)

DATASETS = (PHOTOS, CIFAR10, FASHION_MNIST, OPENIMAGES, FOLDER, IMAGENET, COCO, FACES, HUB, NOISE)
"""All of them."""
