"""Checks of how a metric accumulates: over any batches, in any order, without touching what it is given."""

from __future__ import annotations

import math

import torch

from vqbench.interfaces import Measurement
from vqbench.testing.check import Check, NotApplicable, check, expect
from vqbench.testing.metric.parts import COUNT, close, measure, noisy, originals, prepared
from vqbench.testing.subject import Subject
from vqbench.worker.pixels import evaluation_batch

__all__ = ["ACCUMULATION_CHECKS"]


@check(
    protects="The batch size of an evaluation is a matter of memory: it must not move the number.",
    fix="Keep sums and counts, or a value per image: the mean of batches' means weighs images of a short batch more.",
)
def batches_do_not_matter(subject: Subject) -> None:
    images = originals()
    reconstructions = noisy(images, 0.2)
    whole = measure(subject, images, reconstructions).number
    for sizes in ((1,), (4,), (1, 3)):
        parts = measure(subject, images, reconstructions, sizes).number
        expect(
            close(parts.value, whole.value),
            f"batches of {' and '.join(map(str, sizes))} give another number than one of {COUNT}",
            got=parts.value,
            expected=whole.value,
        )


@check(
    protects="The number is of a set of images, in whichever order they come.",
    fix="Let nothing depend on what came before: no moving averages, no first batch that is treated specially.",
)
def order_does_not_matter(subject: Subject) -> None:
    images = originals()
    reconstructions = noisy(images, 0.2)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    first = measure(subject, images, reconstructions)
    shuffled = measure(subject, images[order], reconstructions[order])
    expect(
        close(shuffled.number.value, first.number.value),
        "another order of the images gives another number",
        got=shuffled.number.value,
        expected=first.number.value,
    )
    if first.values is not None and shuffled.values is not None:
        expect(
            torch.allclose(shuffled.values, first.values[order], rtol=1e-5),
            "values() are not in the order of the images",
        )


@check(
    protects="Two cells may be measured in one process: the second must not inherit from the first.",
    fix="Make lists and tensors in __init__, not in the class, and keep nothing in globals.",
)
def instances_share_nothing(subject: Subject) -> None:
    images = originals()
    mild, strong = noisy(images, 0.05), noisy(images, 0.3)
    alone = measure(subject, images, mild).number
    beside = measure(subject, images, mild, (4,), between=lambda: measure(subject, images, strong)).number
    expect(
        close(beside.value, alone.value), "another instance moves the number", got=beside.value, expected=alone.value
    )


@check(
    protects="All metrics of an evaluation are given the same batch: one that changes it changes the others' numbers.",
    fix="Change nothing in place: no clamp_, sub_ or out=.",
)
def batches_are_left_as_they_are(subject: Subject) -> None:
    images = originals()
    batch, kept = (evaluation_batch(images.clone(), images.flip(0)) for _ in range(2))
    with prepared(subject) as metric:
        metric.update(batch)
        metric.compute()
    for name in ("originals", "reconstructions", "originals_uint8", "reconstructions_uint8"):
        expect(torch.equal(getattr(batch, name), getattr(kept, name)), f"update() changes {name} of the batch")


@check(
    protects="Records are strict JSON without NaN, and a reader must know why a number is missing.",
    fix="Return Measurement(value=None, reason=...) where there is no number: no images, an infinite mean, too few images.",
)
def a_number_is_finite_or_null_with_a_reason(subject: Subject) -> None:
    images = originals()[:2]
    flat = torch.zeros_like(images)
    cases = {
        "equal images": (images, images.clone()),
        "flat black images": (flat, flat.clone()),
        "black images reconstructed white": (flat, flat + 1),
        "one image": (images[:1], noisy(images[:1], 0.2)),
        "images far outside [0, 1]": (images, 100 * images - 50),
        "no images": (images[:0], images[:0]),
    }
    for what, (given, reconstructions) in cases.items():
        number = measure(subject, given, reconstructions).number
        expect(
            isinstance(number, Measurement), f"compute() of {what}", got=type(number).__name__, expected="Measurement"
        )
        if number.value is None:
            expect(number.reason, f"the number of {what} is null without a reason")
        else:
            expect(math.isfinite(number.value), f"the number of {what} is not finite", got=number.value)


@check(
    protects="The number of images stands beside the number, and weighs it where records are joined.",
    fix="Count images, not batches or pixels.",
)
def n_counts_the_images(subject: Subject) -> None:
    images = originals()
    number = measure(subject, images, noisy(images, 0.2), (4,)).number
    expect(number.n == COUNT, "n of the measurement", got=number.n, expected=COUNT)


@check(
    protects="Comparisons go by intervals: one without its own number would call anything a difference.",
    fix="Give both ends or neither, low <= value <= high, of the same mean.",
)
def the_interval_contains_the_number(subject: Subject) -> None:
    images = originals()
    number = measure(subject, images, noisy(images, 0.2)).number
    if number.value is None or (number.low is None and number.high is None):
        raise NotApplicable("there is no number, or no interval of it")
    expect(number.low is not None and number.high is not None, "an interval has one end", got=(number.low, number.high))
    assert number.low is not None
    assert number.high is not None
    expect(
        number.low <= number.value <= number.high,
        "the interval does not contain the number",
        got=f"{number.value:g} and {number.low:g} … {number.high:g}",
    )


@check(
    protects="Paired comparisons of two cells are made of values(): they must be what the number is the mean of.",
    fix="Return float64 (N,), one per image in order; or None where the number is no mean over images.",
)
def values_average_to_the_number(subject: Subject) -> None:
    images = originals()
    measured = measure(subject, images, noisy(images, 0.2), (4,))
    values, number = measured.values, measured.number
    if values is None or number.value is None:
        raise NotApplicable("it is no mean over images, or there is no number")
    form = (values.dtype, tuple(values.shape))
    expect(form == (torch.float64, (COUNT,)), "values()", got=form, expected=(torch.float64, (COUNT,)))
    mean = values.mean().item()
    expect(close(mean, number.value), "the mean of values() is not the number", got=mean, expected=number.value)


@check(
    protects="What was measured may be asked for more than once: the record, then the values of each image.",
    fix="Clear nothing in compute(); an instance measures one evaluation.",
)
def compute_changes_nothing(subject: Subject) -> None:
    images = originals()
    with prepared(subject) as metric:
        metric.update(evaluation_batch(images, noisy(images, 0.2)))
        first, again = metric.compute(), metric.compute()
    expect(again == first, "compute() gives another measurement the second time", got=again.value, expected=first.value)


ACCUMULATION_CHECKS: tuple[Check, ...] = (
    batches_do_not_matter,
    order_does_not_matter,
    instances_share_nothing,
    batches_are_left_as_they_are,
    n_counts_the_images,
    a_number_is_finite_or_null_with_a_reason,
    the_interval_contains_the_number,
    values_average_to_the_number,
    compute_changes_nothing,
)
