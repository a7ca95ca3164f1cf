"""What checks of datasets work on: datasets that are on this machine, and a few images of each split."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from typing import cast

from torch import Tensor

from vqbench.catalog import Entry, revision_of
from vqbench.errors import ParameterError, UnavailableError
from vqbench.interfaces import Dataset, Images
from vqbench.specs import DatasetSpec
from vqbench.testing.check import NotApplicable
from vqbench.testing.subject import Subject

__all__ = [
    "dataset_of",
    "hash_of",
    "hashes_of",
    "image_size_of",
    "revision_here",
    "sample_of",
    "sampled_hashes",
    "splits_of",
]

IMAGE_SIZE = 32
"""Asked for where the dataset has it; else the size nearest to it."""
SAMPLE = 32
"""Images of a split that are looked at, besides the first few and the last."""


def dataset_of(subject: Subject) -> Dataset:
    """A new instance.

    Raises:
        NotApplicable: its data is not on this machine, or a parameter that must be set is not.
    """
    revision_here(subject)
    assert isinstance(subject.entry, Entry)
    cls = subject.catalog.load_target(subject.entry)
    with _where_the_data_is(subject):
        dataset: Dataset = cls(image_size_of(subject), **subject.parameters)  # type: ignore[operator]
        return dataset


def revision_here(subject: Subject) -> str:
    """What the descriptor says of the content; raises as :func:`dataset_of`."""
    assert isinstance(subject.entry, Entry)
    with _where_the_data_is(subject):
        return revision_of(subject.entry, subject.parameters)


def splits_of(dataset: Dataset) -> Iterator[tuple[str, Images]]:
    """The training images, then the test images, by name; raises as :func:`dataset_of`."""
    try:
        yield "train", dataset.split("train")
        yield "test", dataset.split("test")
    except UnavailableError as error:
        raise NotApplicable(str(error)) from error


def image_size_of(subject: Subject) -> int:
    """The image size that the dataset is looked at with."""
    sizes = _spec(subject).image_sizes
    return IMAGE_SIZE if sizes is None else min(sizes, key=lambda size: abs(size - IMAGE_SIZE))


def sample_of(images: Images) -> list[int]:
    """Indices of a few images, the same in splits of one length: the first, the last and what lies evenly between."""
    count = len(images)
    evenly = (i * (count - 1) // SAMPLE for i in range(SAMPLE + 1) if count)
    return sorted({*range(min(count, SAMPLE // 4)), *evenly})


def hashes_of(images: Images) -> dict[int, str]:
    """What tells the sampled images apart, by index."""
    return {index: hash_of(images[index]) for index in sample_of(images)}


def hash_of(image: Tensor) -> str:
    """SHA-256 of an image's values."""
    return hashlib.sha256(image.contiguous().numpy().tobytes()).hexdigest()


def sampled_hashes(subject: Subject) -> dict[str, list[str]]:
    """:func:`hashes_of` the images of a new instance, in order, by split."""
    return {split: list(hashes_of(images).values()) for split, images in splits_of(dataset_of(subject))}


@contextlib.contextmanager
def _where_the_data_is(subject: Subject) -> Iterator[None]:
    """A block that asks for the data: what is not here cannot be checked."""
    try:
        yield
    except UnavailableError as error:
        raise NotApplicable(str(error)) from error
    except ParameterError as error:
        unset = [p.name for p in _spec(subject).parameters if p.default == "" and p.name not in subject.given]
        if unset:
            raise NotApplicable(f"{error} (not set: {', '.join(unset)})") from error
        raise


def _spec(subject: Subject) -> DatasetSpec:
    return cast(DatasetSpec, subject.entry.spec)
