"""Folders of well-known collections: which files they must hold; light, as planning reads it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from vqbench.errors import DataError
from vqbench.specs import Parameters
from vqbench_plugins.datasets.image_files import ImageFiles, choose, fingerprint, image_folder, quoted, walk_images

__all__ = ["COCO_VAL", "FFHQ", "IMAGENET_VAL", "StandardFolder", "list_standard", "standard_revision"]


@dataclass(frozen=True, kw_only=True)
class StandardFolder:
    """A collection as its publisher hands it out.

    Attributes:
        name: of the dataset.
        images: that ``root`` must hold, in sub-folders or not.
        holds: what ``root`` is, in words.
        test_images: how many of them, the last by path, are the test images, the others being for training; None means
            that all are test images and training images lie in a folder of their own, ``train_root``.
    """

    name: str
    images: int
    holds: str
    test_images: int | None = None


IMAGENET_VAL = StandardFolder(name="imagenet-val", images=50_000, holds="the ILSVRC2012 validation images")
COCO_VAL = StandardFolder(name="coco-val", images=5_000, holds="val2017 of COCO")
FFHQ = StandardFolder(name="ffhq", images=70_000, holds="all of images1024x1024 of FFHQ", test_images=10_000)


def list_standard(
    standard: StandardFolder, root: str, *, train_root: str = "", train_images: int = 0, test_images: int = 0
) -> ImageFiles:
    """The files of a collection; ``train_images`` and ``test_images`` as :func:`~.image_files.choose` limits them.

    Raises:
        UnavailableError: a folder is not given or not there.
        DataError: ``root`` has another number of images than it should, or ``train_root`` has none.
    """
    test_base = image_folder(root, dataset=standard.name)
    files, notes = walk_images(test_base)
    if len(files) != standard.images:
        raise DataError(
            f"the root of the dataset {standard.name!r} is not {standard.holds}",
            got="; ".join([f"{len(files)} images in {str(test_base)!r}", *notes]),
            expected=f"{standard.images} images",
            hint="The folder must hold those and no others; see docs/datasets.md. Other images: dataset 'folder'.",
        )
    if standard.test_images is not None:
        train_base = test_base
        train, test = files[: -standard.test_images], files[-standard.test_images :]
    else:
        train_base = image_folder(train_root, dataset=standard.name, parameter="train_root")
        (train, train_notes), test = walk_images(train_base), files
        notes += train_notes
        if not train:
            raise DataError(f"the train_root of the dataset {standard.name!r} has no images", got=repr(str(train_base)))
        if test_base == train_base or test_base.is_relative_to(train_base) or train_base.is_relative_to(test_base):
            raise DataError(
                f"root and train_root of the dataset {standard.name!r} share images",
                got=quoted([str(test_base), str(train_base)]),
                expected="two folders, neither within the other",
            )
    return ImageFiles(
        train_root=train_base,
        test_root=test_base,
        train=choose(train, train_images),
        test=choose(test, test_images),
        notes=tuple(notes),
    )


def standard_revision(standard: StandardFolder) -> Callable[[Parameters], str]:
    """Of a collection, a digest of the interpolation, the chosen files' paths and, of test images,
    :func:`~.image_files.fingerprint`; of training images, of which there may be a million, sizes.
    """
    return partial(_revision, standard)


def _revision(standard: StandardFolder, parameters: Parameters) -> str:
    choice = dict(parameters)
    digest = hashlib.sha256(f"{choice.pop('interpolation')}\n".encode())
    files = list_standard(standard, choice.pop("root"), **choice)
    for name in files.train:
        digest.update(f"train\0{name}\0{(files.train_root / name).stat().st_size}\n".encode())
    for name in files.test:
        digest.update(f"test\0{name}\0{fingerprint(files.test_root / name)}\n".encode())
    return digest.hexdigest()[:16]
