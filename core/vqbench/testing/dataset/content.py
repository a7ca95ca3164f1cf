"""Checks of which images a dataset holds: always the same, in the same order, and none in both splits."""

from __future__ import annotations

from vqbench.testing.check import Check, check, expect
from vqbench.testing.dataset.parts import dataset_of, hash_of, hashes_of, revision_here, sampled_hashes, splits_of
from vqbench.testing.fresh_process import HEAVY, component_elsewhere
from vqbench.testing.randomness import expect_no_draw, reseed
from vqbench.testing.subject import Subject

__all__ = ["CONTENT_CHECKS"]

HASHES = """
from vqbench.testing import Subject
from vqbench.testing.dataset.parts import sampled_hashes
answer = sampled_hashes(Subject(entry=entry, catalog=catalog, given=given["parameters"]))
"""
REVISION = f"""
loaded = set(sys.modules)
revision = entry.spec.revision(parameters)
answer = [revision, ", ".join(module for module in {HEAVY!r} if module in sys.modules.keys() - loaded)]
"""


@check(
    protects="A batch depends on seed and step only if an index always means the same image: else no run can be resumed.",
    fix="Decide by the index alone what an image is: no random crop or flip, no state that moves from one access to the next.",
)
def an_index_always_gives_the_same_image(subject: Subject) -> None:
    reseed(1)
    splits = dict(splits_of(dataset_of(subject)))
    first = {split: hashes_of(images) for split, images in splits.items()}
    reseed(2)
    for split, images in splits.items():
        again = {index: hash_of(images[index]) for index in reversed(first[split])}
        expect(again == first[split], f"an index of {split} gives another image the second time")
    for split, images in splits_of(dataset_of(subject)):
        lengths = (len(images), len(splits[split]))
        expect(lengths[0] == lengths[1], f"two instances have {split} splits of other lengths", got=lengths)
        expect(hashes_of(images) == first[split], f"two instances have other images at the same index of {split}")


@check(
    protects="Cells of one suite are run in many processes, on many days: order and content must be the same in all of them.",
    fix="Sort the names of files, and take nothing from set order, hash(), time or process ids.",
)
def another_process_sees_the_same_images(subject: Subject) -> None:
    here = sampled_hashes(subject)
    there = component_elsewhere(subject, HASHES)
    expect(there == here, "another process sees other images, or in another order")


@check(
    protects="Images that were trained on are reconstructed better: a test on them says nothing.",
    fix="Split by something that is fixed and belongs to the image: its file name, or its position in a pinned file.",
)
def splits_have_no_image_in_common(subject: Subject) -> None:
    found = {split: set(hashes_of(images).values()) for split, images in splits_of(dataset_of(subject))}
    common = found["train"] & found["test"]
    expect(not common, "of a few images of each split, both have", got=len(common), expected=0)


@check(
    protects="The revision is part of every cell's identity: one that changes by itself makes all records those of other data.",
    fix="Return a text that is made of the content (a pinned version, a checksum), without torch: planning calls it.",
)
def revision_is_stable_and_needs_no_torch(subject: Subject) -> None:
    revision = revision_here(subject)
    expect(revision_here(subject) == revision, "the revision is another the second time", got=revision_here(subject))
    there, heavy = component_elsewhere(subject, REVISION)
    expect(there == revision, "another process sees another revision", got=there, expected=revision)
    expect(not heavy, "revision() imports torch", got=heavy)


@check(
    protects="Loading an image moves no generator: else what is drawn in training would depend on how images are loaded.",
    fix="Draw from a generator of your own, seeded by the parameters and the index.",
)
def loading_uses_no_global_randomness(subject: Subject) -> None:
    with expect_no_draw("loading images"):
        for _, images in splits_of(dataset_of(subject)):
            hashes_of(images)


CONTENT_CHECKS: tuple[Check, ...] = (
    an_index_always_gives_the_same_image,
    another_process_sees_the_same_images,
    splits_have_no_image_in_common,
    revision_is_stable_and_needs_no_torch,
    loading_uses_no_global_randomness,
)
