"""What checks of backbones work on: backbones of small images, and what passes through them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from vqbench.catalog import Entry, check_levels
from vqbench.errors import ParameterError
from vqbench.interfaces import Backbone
from vqbench.seeds import derive_seed
from vqbench.specs import BackboneSpec, LevelShape
from vqbench.testing.check import CheckFailure, expect
from vqbench.testing.subject import Subject

__all__ = [
    "SEVERAL",
    "SINGLE",
    "Geometry",
    "Passage",
    "backbone_of",
    "first_built",
    "geometry_of",
    "new_backbone",
    "pass_through",
    "some_images",
    "values_from",
]


@dataclass(frozen=True)
class Geometry:
    """Height and width of the images in pixels, and the strides of the levels, coarse to fine."""

    image_size: int
    strides: tuple[int, ...]

    @property
    def levels(self) -> tuple[LevelShape, ...]:
        """Levels whose channels all differ: between levels, and between latents and values."""
        return tuple(
            LevelShape(stride=stride, latent_channels=2 * (3 + i), code_channels=3 + i)
            for i, stride in enumerate(self.strides)
        )

    def __str__(self) -> str:
        return f"{self.image_size} x {self.image_size} pixels, strides {list(self.strides)}"


SINGLE = tuple(
    Geometry(size, (stride,)) for size, stride in ((32, 8), (32, 4), (64, 16), (128, 16), (256, 8), (256, 16))
)
"""Geometries of one level, the quickest first."""
SEVERAL = tuple(
    Geometry(size, (2 * stride, stride)) for size, stride in ((32, 4), (32, 8), (64, 8), (128, 8), (256, 8))
)
"""The same with two levels."""


@dataclass(frozen=True, kw_only=True)
class Passage:
    """What a backbone made of images, per level, coarse to fine."""

    features: list[Tensor]
    latents: list[Tensor]
    values: list[Tensor]


def new_backbone(subject: Subject, geometry: Geometry) -> Backbone:
    """A new backbone, in training mode.

    Raises:
        ParameterError: the descriptor's ``check`` or the constructor refuses.
        CheckFailure: ``check`` lets pass what the constructor refuses, or it is built for something else.
    """
    entry = subject.entry
    assert isinstance(entry, Entry)
    assert isinstance(entry.spec, BackboneSpec)
    check_levels(entry, subject.parameters, geometry.image_size, geometry.levels)
    cls = subject.catalog.load_target(entry)
    try:
        backbone: Backbone = cls(geometry.image_size, geometry.levels, **subject.parameters)  # type: ignore[operator]
    except ParameterError as error:
        if entry.spec.check is None:
            raise
        raise CheckFailure(
            f"the descriptor's `check` lets pass what the constructor refuses ({geometry})", got=str(error)
        ) from error
    expect(
        (backbone.image_size, backbone.levels) == (geometry.image_size, geometry.levels),
        "it changed the image size or the levels it was given",
        got=(backbone.image_size, backbone.levels),
        expected=(geometry.image_size, geometry.levels),
    )
    return backbone.train()


def first_built(subject: Subject, geometries: Sequence[Geometry]) -> Backbone:
    """The backbone with the first of the geometries that it can be built for, in evaluation mode.

    Raises:
        CheckFailure: it can be built for none of them.
    """
    refusal: ParameterError | None = None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(0, "check", "build", str(subject)))
        for geometry in geometries:
            try:
                return new_backbone(subject, geometry).eval()
            except ParameterError as error:
                refusal = error
    tried = "; ".join(map(str, geometries))
    raise CheckFailure("it cannot be built", got=str(refusal), expected=f"one of {tried}")


@lru_cache(maxsize=1)
def backbone_of(subject: Subject) -> Backbone:
    """The backbone with two levels, or with one if it can be built for no more, in evaluation mode.

    It is built once for all checks: whoever changes it takes a copy.

    Raises:
        CheckFailure: it can be built for neither.
    """
    return first_built(subject, (*SEVERAL, *SINGLE))


def geometry_of(backbone: Backbone) -> Geometry:
    """What a backbone was built for."""
    return Geometry(backbone.image_size, tuple(level.stride for level in backbone.levels))


def some_images(backbone: Backbone, count: int = 3) -> Tensor:
    """Images ``(B, 3, H, W)`` in [0, 1]."""
    return torch.rand(count, 3, backbone.image_size, backbone.image_size)


def pass_through(backbone: Backbone, images: Tensor) -> Passage:
    """What a tokenizer would have of images; half of a latent's channels stand in for its quantized value."""
    features = list(backbone.encode(images))
    latents: list[Tensor] = []
    values: list[Tensor] = []
    for index, level in enumerate(backbone.levels):
        latents.append(features[0] if index == 0 else backbone.fuse(index, features[index], values))
        values.append(latents[-1][:, : level.code_channels])
    return Passage(features=features, latents=latents, values=values)


def values_from(backbone: Backbone, images: Tensor) -> list[Tensor]:
    """Values of images, which carry no gradient."""
    with torch.no_grad():
        return [value.float() for value in pass_through(backbone, images).values]
