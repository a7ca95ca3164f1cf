"""Checks of the form in which a dataset hands over its images."""

from __future__ import annotations

from multiprocessing.reduction import ForkingPickler

import torch
from torch import Tensor

from vqbench.interfaces import ByteImages
from vqbench.testing.check import Check, NotApplicable, check, expect
from vqbench.testing.dataset.parts import dataset_of, hashes_of, image_size_of, sample_of, splits_of
from vqbench.testing.subject import Subject

__all__ = ["FORM_CHECKS"]


@check(
    protects="Trainer, metrics and boards take images for float32 in [0, 1]; a run stops, or is wrong, where they are not.",
    fix="Return images (3, H, W), float32 in [0, 1], H and W the image_size that the dataset was given.",
)
def images_have_the_asked_form(subject: Subject) -> None:
    size, dataset = image_size_of(subject), dataset_of(subject)
    expect(dataset.image_size == size, "the dataset's image_size is not the one it was given", got=dataset.image_size)
    for split, images in splits_of(dataset):
        expect(len(images) > 0, f"the {split} split is empty")
        for index in sample_of(images):
            image, what = images[index], f"image {index} of {split}"
            expect(isinstance(image, Tensor), f"{what} is no tensor", got=type(image).__name__)
            form = (image.dtype, tuple(image.shape), image.device.type)
            expected = (torch.float32, (3, size, size), "cpu")
            expect(form == expected, f"{what} has another form", got=form, expected=expected)
            low, high = image.min().item(), image.max().item()
            expect(low >= 0 and high <= 1, f"{what} leaves [0, 1]", got=f"{low:g} … {high:g}")  # so does a NaN


@check(
    protects="What goes through all images by index ends with the first that is not there, as with every Python sequence.",
    fix="Raise IndexError for an index of len(images) or more.",
)
def indices_beyond_the_end_are_refused(subject: Subject) -> None:
    for split, images in splits_of(dataset_of(subject)):
        for index in (len(images), len(images) + 1000):
            try:
                images[index]
            except IndexError:
                continue
            expect(False, f"{split} has {len(images)} images and gives one at index {index}", expected="IndexError")


@check(
    protects="Images that have `batch` are loaded through it alone: it must give the same images, in memory that may be changed.",
    fix="Return uint8 (B, 3, H, W) with images[i] == batch([i])[0] / 255, copied out of what the dataset keeps.",
)
def batches_hold_the_same_images(subject: Subject) -> None:
    size = image_size_of(subject)
    for split, images in splits_of(dataset_of(subject)):
        if not isinstance(images, ByteImages):
            raise NotApplicable("its images have no `batch`: they are loaded one by one")
        some = sample_of(images)
        for indices in (some[:1], list(range(len(images)))[:4], [*some, some[0], some[0]]):  # an index may come twice
            batch = images.batch(indices)
            form, expected = (batch.dtype, tuple(batch.shape)), (torch.uint8, (len(indices), 3, size, size))
            expect(form == expected, f"a batch of {split} has another form", got=form, expected=expected)
            kept = batch.clone()
            for row, index in zip(kept, indices, strict=True):
                same = torch.equal(images[index], row.float() / 255)
                expect(same, f"image {index} of {split} is not what a batch holds / 255")
            batch.bitwise_not_()
            expect(torch.equal(images.batch(indices), kept), f"changing a batch of {split} changes the images")


@check(
    protects="Images that cannot be pickled cannot be handed to a process that loads them.",
    fix="Keep no open files, locks, lambdas or local classes; open files when they are first read.",
)
def pickles_for_a_spawned_process(subject: Subject) -> None:
    for split, images in splits_of(dataset_of(subject)):
        before = hashes_of(images)
        expect(
            hashes_of(ForkingPickler.loads(ForkingPickler.dumps(images))) == before,
            f"the {split} images are others after pickling",
        )


@check(
    protects="Notes are kept in every record.",
    fix="Return a list of sentences, or an empty one.",
)
def notes_are_texts(subject: Subject) -> None:
    dataset = dataset_of(subject)
    for _ in splits_of(dataset):
        pass  # opening a split may add notes
    notes = dataset.notes()
    expect(
        isinstance(notes, list) and all(isinstance(note, str) for note in notes),
        "notes are no list of texts",
        got=notes,
    )


FORM_CHECKS: tuple[Check, ...] = (
    images_have_the_asked_form,
    indices_beyond_the_end_are_refused,
    batches_hold_the_same_images,
    pickles_for_a_spawned_process,
    notes_are_texts,
)
