"""Checks of a backbone in evaluation mode: the same image always gives the same numbers, whatever is around it."""

from __future__ import annotations

import torch
from torch import Tensor

from vqbench.interfaces import Backbone
from vqbench.testing.backbone.parts import backbone_of, pass_through, some_images, values_from
from vqbench.testing.check import Check, check, expect
from vqbench.testing.randomness import expect_no_draw, reseed
from vqbench.testing.subject import Subject

__all__ = ["EVALUATION_CHECKS"]

ROUNDING = 1e-4
"""Largest difference, of values around 1, between batches of other sizes: kernels may add up in another order."""
BFLOAT16 = 0.05
"""Mean difference, of values around 1, that its 8 bits of mantissa may make."""


@check(
    protects="The number of an image must not depend on which images share its batch, nor on the batch size of a suite.",
    fix="Use no statistics over the batch in evaluation, and keep the batch dimension apart in every reshape.",
)
def images_do_not_mix(subject: Subject) -> None:
    backbone = backbone_of(subject)
    images = some_images(backbone, 4) * torch.linspace(0.1, 1.0, 4).view(-1, 1, 1, 1)  # as different as images are
    whole = _all_outputs(backbone, images)
    for part in (torch.tensor([1]), torch.tensor([3, 0, 2])):
        for name, made in _all_outputs(backbone, images[part]).items():
            expected = whole[name][part]
            worst = float((made - expected).abs().max() / max(1.0, float(expected.abs().max())))
            expect(
                worst <= ROUNDING,
                f"{name} depend on the rest of the batch",
                got=f"a difference of {worst:g}",
                expected=f"at most {ROUNDING:g}",
            )


@check(
    protects="Evaluating twice must give one record: nothing may be drawn, whatever the seed.",
    fix="Make dropout and noise depend on self.training.",
)
def eval_is_deterministic(subject: Subject) -> None:
    backbone = backbone_of(subject)
    images = some_images(backbone, 2)
    reseed(1)
    first = _all_outputs(backbone, images)
    reseed(2)
    for name, again in _all_outputs(backbone, images).items():
        expect(torch.equal(again, first[name]), f"{name} differ between two evaluations of the same images")


@check(
    protects="A draw in evaluation shifts the numbers of all that is drawn after it.",
    fix="Draw random numbers in training only.",
)
def eval_uses_no_global_randomness(subject: Subject) -> None:
    backbone = backbone_of(subject)
    images = some_images(backbone, 2)
    with expect_no_draw("evaluation"):
        _all_outputs(backbone, images)


@check(
    protects="Evaluation must leave the trained weights as they are, and the images that metrics are given next.",
    fix="Keep running statistics in training mode only, and change no argument in place.",
)
def eval_changes_neither_state_nor_arguments(subject: Subject) -> None:
    backbone = backbone_of(subject)
    before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    images = some_images(backbone, 2)
    kept = images.clone()
    with torch.no_grad():
        passed = pass_through(backbone, images)
        values = [value.float().clone() for value in passed.values]
        given = [value.clone() for value in values]
        backbone.decode(given)
        features = [feature.clone() for feature in passed.features]
        for level in range(1, len(features)):
            backbone.fuse(level, features[level], given[:level])
    expect(torch.equal(images, kept), "encode() changes the images it is given")
    expect(all(map(torch.equal, given, values)), "decode() or fuse() changes the values it is given")
    expect(all(map(torch.equal, features, passed.features)), "fuse() changes the features it is given")
    after = backbone.state_dict()
    changed = [name for name, tensor in before.items() if not torch.equal(after[name], tensor)]
    expect(not changed, "evaluation changes the state", got=", ".join(changed[:4]))


@check(
    protects="Recipes train in bfloat16 where the device has it: a backbone that overflows or stops there cannot be trained so.",
    fix="Leave dtypes to autocast: make no tensors of a fixed dtype, and scale up nothing that is summed.",
)
def autocast_to_bfloat16_stays_close(subject: Subject) -> None:
    backbone = backbone_of(subject)
    images = some_images(backbone, 2)
    with torch.no_grad():
        exact = backbone.decode(values_from(backbone, images))
        with torch.autocast("cpu", torch.bfloat16):
            rounded = backbone.decode(values_from(backbone, images))
    expect(tuple(rounded.shape) == tuple(exact.shape), "images decoded under autocast", got=tuple(rounded.shape))
    difference = float((rounded - exact).abs().mean() / max(1.0, float(exact.abs().max())))
    expect(
        difference <= BFLOAT16,  # also where it is not a number
        "images decoded under autocast differ from those of full precision",
        got=f"{difference:g} in the mean",
        expected=f"at most {BFLOAT16:g}",
    )


@torch.no_grad()
def _all_outputs(backbone: Backbone, images: Tensor) -> dict[str, Tensor]:
    passed = pass_through(backbone, images)
    named = {f"latents of level {index}": latents for index, latents in enumerate(passed.latents)}
    return {**named, "decoded images": backbone.decode(passed.values)}


EVALUATION_CHECKS: tuple[Check, ...] = (
    images_do_not_mix,
    eval_is_deterministic,
    eval_uses_no_global_randomness,
    eval_changes_neither_state_nor_arguments,
    autocast_to_bfloat16_stays_close,
)
