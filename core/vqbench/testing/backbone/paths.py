"""Checks of how information passes through a backbone: through the values alone, from every level, each to its place."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import torch
from torch import Tensor

from vqbench.interfaces import Backbone
from vqbench.testing.backbone.parts import (
    SINGLE,
    Geometry,
    backbone_of,
    first_built,
    pass_through,
    some_images,
    values_from,
)
from vqbench.testing.check import Check, NotApplicable, check, expect
from vqbench.testing.subject import Subject

__all__ = ["PATH_CHECKS"]

FINE_GRIDS = tuple(Geometry(size, strides) for size, strides in ((32, (4, 2)), (32, (4,)), (64, (8,)), (128, (16,))))
"""At least 8 × 8 positions a level: fewer are less than what convolutions see at once."""
PLACES = ((0, 2), (3, 1), (1, 0))
"""Rows and columns, on a grid of 4 × 4, where an input is changed: no symmetry of the square leaves one of them in place."""
SYMMETRIES = (
    *("in place", "mirrored left to right", "mirrored top to bottom", "turned by 180 degrees"),
    *("transposed", "turned by 90 degrees", "turned by 270 degrees", "transposed along the other diagonal"),
)
CLEARLY = 2.0
"""An answer that has a place is so many times as strong there as at the others."""


@check(
    protects="What reaches the decoder beside the codes is not in the rate: the method would look better than it is.",
    fix="Let decode() use its arguments and the weights only: no encoder-to-decoder skips, nothing kept from encode() or fuse().",
)
def decoder_sees_values_only(subject: Subject) -> None:
    backbone = backbone_of(subject)
    unused = deepcopy(backbone)  # has nothing that encode or fuse could have left
    images = some_images(backbone, 2)
    values = values_from(backbone, images)
    with torch.no_grad():
        first = backbone.decode(values)
        pass_through(backbone, torch.rand_like(images))
        expect(torch.equal(backbone.decode(values), first), "encoding another image changes what values decode to")
        expect(torch.equal(unused.decode(values), first), "values decode to something else where nothing was encoded")
    trained = deepcopy(backbone).train()
    images.requires_grad_()
    constant = [value.detach() for value in pass_through(trained, images).values]
    found = torch.autograd.grad(trained.decode(constant).sum(), images, allow_unused=True)[0]
    expect(found is None or not found.any(), "in training, a gradient reaches the images beside the values")


@check(
    protects="Bits of a level that the decoder does not look at, or of an image that a level does not look at, are wasted.",
    fix="Merge the values of all levels in decode(), and features as well as coarser values in fuse().",
)
def every_level_matters(subject: Subject) -> None:
    backbone = backbone_of(subject)
    levels = range(len(backbone.levels))
    with torch.no_grad():
        passed = pass_through(backbone, some_images(backbone, 1))
    values = [value.float().requires_grad_() for value in passed.values]
    gradients = torch.autograd.grad(backbone.decode(values).square().sum(), values, allow_unused=True)
    idle = [level for level in levels if not _reaches(gradients[level])]
    expect(not idle, "decode() ignores the value of a level", got=idle, expected="none ignored")
    for level in levels[1:]:
        features = passed.features[level].float().requires_grad_()
        latents = backbone.fuse(level, features, values[:level])
        reached, *coarser = torch.autograd.grad(latents.square().sum(), [features, *values[:level]], allow_unused=True)
        expect(_reaches(reached), f"fuse() of level {level} ignores the features")
        expect(any(map(_reaches, coarser)), f"fuse() of level {level} ignores the values of coarser levels")


@check(
    protects="Swapped or mirrored axes train badly and break no shape, since images are square.",
    fix="Look at every flatten, transpose and reshape between images (B, C, H, W) and tokens (B, H·W, C): rows come first.",
)
def positions_are_not_swapped(subject: Subject) -> None:
    answers = _answers(backbone_of(subject))
    if not all(map(_is_clear, answers.values())):
        answers = _answers(first_built(subject, (*FINE_GRIDS, *SINGLE)))
    clear = {what: answer for what, answer in answers.items() if _is_clear(answer)}
    if not clear:
        raise NotApplicable("before it is trained, a change at one place changes everything as much")
    for what, answer in clear.items():
        where = SYMMETRIES[int(answer.argmax())]
        expect(where == SYMMETRIES[0], f"{what} answers to a change elsewhere", got=where, expected=SYMMETRIES[0])


@torch.no_grad()
def _answers(backbone: Backbone) -> dict[str, Tensor]:
    """How each level's latent answers to the image, and the decoded image to each level's value."""
    images = some_images(backbone, 2)
    values = values_from(backbone, images)
    answers: dict[str, Tensor] = {}
    for index, value in enumerate(values):

        def latent(changed: Tensor, index: int = index) -> Tensor:
            return pass_through(backbone, changed).latents[index]

        def decoded(changed: Tensor, index: int = index) -> Tensor:
            return backbone.decode([*values[:index], changed, *values[index + 1 :]])

        answers[f"the latent of level {index}"] = _answer(images, latent)
        answers[f"the image decoded from the value of level {index}"] = _answer(value, decoded)
    return answers


def _answer(inputs: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    """How strongly the output changes, by the place where: at that of the input's change, or where a symmetry takes it."""
    before = function(inputs)
    answer = torch.zeros(len(SYMMETRIES))
    for row, column in PLACES:
        changed = inputs.clone()
        place = _block(changed, row, column)
        place += inputs.std() * torch.randn(place.shape)
        difference = (function(changed) - before).square()
        answer += torch.stack([_block(difference, *at).mean() for at in _symmetric(row, column)])
    return answer


def _is_clear(answer: Tensor) -> bool:
    strongest, second = answer.topk(2).values
    return bool(strongest >= CLEARLY * second)


def _symmetric(row: int, column: int) -> list[tuple[int, int]]:
    upright = [(row, column), (row, 3 - column), (3 - row, column), (3 - row, 3 - column)]
    return upright + [(column, row) for row, column in upright]


def _block(maps: Tensor, row: int, column: int) -> Tensor:
    """A sixteenth of maps ``(B, C, h, w)``, h and w at least 4."""
    height, width = (side // 4 for side in maps.shape[-2:])
    return maps[..., row * height : (row + 1) * height, column * width : (column + 1) * width]


def _reaches(gradient: Tensor | None) -> bool:
    return gradient is not None and bool(gradient.any())


PATH_CHECKS: tuple[Check, ...] = (decoder_sees_values_only, every_level_matters, positions_are_not_swapped)
