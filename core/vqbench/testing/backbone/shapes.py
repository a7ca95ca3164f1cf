"""Checks of what a backbone can be built for, and of the shapes it then gives."""

from __future__ import annotations

import torch

from vqbench.errors import ParameterError
from vqbench.interfaces import Backbone
from vqbench.testing.backbone.parts import (
    SINGLE,
    Geometry,
    backbone_of,
    first_built,
    geometry_of,
    new_backbone,
    pass_through,
    some_images,
)
from vqbench.testing.check import Check, NotApplicable, check, expect
from vqbench.testing.subject import Subject

__all__ = ["SHAPE_CHECKS"]

UNUSUAL = (Geometry(24, (3,)), Geometry(40, (8,)))
"""A stride that is no power of two; an odd number of positions."""


@check(
    protects="Rates, quantizers and metrics are computed from these shapes; a run stops where they differ.",
    fix="Return latents (B, latent_channels, h, w) with h = image_size / stride, and float32 images (B, 3, H, W).",
)
def latents_and_images_have_the_promised_shapes(subject: Subject) -> None:
    for backbone in (backbone_of(subject), first_built(subject, SINGLE)):
        for count in (1, 3):
            _expect_shapes(backbone, count)


@check(
    protects="A suite may ask for any stride and size: what cannot be built must be said when planning, in a sentence.",
    fix="Raise ParameterError for it from the descriptor's `check`, which needs no torch, and from the constructor.",
)
def unusual_sizes_are_built_right_or_refused(subject: Subject) -> None:
    for geometry in UNUSUAL:
        try:
            backbone = new_backbone(subject, geometry)
        except ParameterError:
            continue
        _expect_shapes(backbone.eval(), 1)


@check(
    protects="Quantizers of several levels choose backbones by what these claim.",
    fix='Name the capability "multi-level" only if it can be built with two levels or more.',
)
def several_levels_are_built_where_claimed(subject: Subject) -> None:
    spec = subject.entry.spec
    if "multi-level" not in getattr(spec, "capabilities", ()):
        raise NotApplicable('it does not claim the capability "multi-level"')
    count = len(backbone_of(subject).levels)
    expect(count > 1, 'it claims the capability "multi-level" and is built for one only')


def _expect_shapes(backbone: Backbone, count: int) -> None:
    size, levels, where = backbone.image_size, backbone.levels, geometry_of(backbone)
    images = some_images(backbone, count)
    with torch.no_grad():
        passed = pass_through(backbone, images)
        decoded = backbone.decode(passed.values)
    expect(
        len(passed.features) == len(levels), f"{where}: feature maps", got=len(passed.features), expected=len(levels)
    )
    for index, (level, latents) in enumerate(zip(levels, passed.latents, strict=True)):
        shape = (count, level.latent_channels, size // level.stride, size // level.stride)
        expect(
            tuple(latents.shape) == shape,
            f"{where}: latents of level {index}",
            got=tuple(latents.shape),
            expected=shape,
        )
        expect(latents.isfinite().all(), f"{where}: a latent of level {index} is not finite")
    given, got = tuple(images.shape), tuple(decoded.shape)
    expect(got == given, f"{where}: decoded images", got=got, expected=given)
    expect(decoded.dtype == torch.float32, f"{where}: decoded images", got=decoded.dtype, expected=torch.float32)
    expect(decoded.isfinite().all(), f"{where}: a decoded image is not finite")


SHAPE_CHECKS: tuple[Check, ...] = (
    latents_and_images_have_the_promised_shapes,
    unusual_sizes_are_built_right_or_refused,
    several_levels_are_built_where_claimed,
)
