"""Arithmetic on strides, stages and blocks that planning and building share; needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from vqbench.errors import ParameterError
from vqbench.specs import LevelShape

__all__ = ["check_levels", "doublings", "split_depth", "stage_multipliers"]


def check_levels(image_size: int, levels: Sequence[LevelShape]) -> None:
    """Whether levels form a pyramid of power-of-two strides, coarse to fine, that divides the image.

    Raises:
        ParameterError: they do not; the message names the stride or the image size and what would do.
    """
    if not levels:
        raise ParameterError("a backbone needs at least one level", got="none")
    strides = [level.stride for level in levels]
    for stride in strides:
        if stride < 1 or stride & (stride - 1):
            raise ParameterError(
                "a level's stride is not a power of two",
                got=stride,
                expected="1, 2, 4, 8, 16 …",
                hint="Choose a power of two as the base stride and as every relative_stride.",
            )
    if any(coarse <= fine for coarse, fine in pairwise(strides)):
        raise ParameterError(
            "levels do not run from coarse to fine",
            got=f"strides {strides}",
            expected="strides that become smaller",
            hint="Order the quantizer's levels by falling relative_stride.",
        )
    if image_size < 1 or image_size % strides[0]:
        raise ParameterError(
            "image_size is not divisible by the stride of the coarsest level",
            got=f"image_size {image_size}, stride {strides[0]}",
            hint=f"Use an image_size that is a multiple of {strides[0]}, or a smaller stride.",
        )
    for level in levels:
        if level.latent_channels < 1 or level.code_channels < 1:
            raise ParameterError("a level has no channels", got=level, expected="at least 1 of each kind")


def doublings(coarse: int, fine: int) -> int:
    """How often ``fine`` is doubled to reach ``coarse``, both powers of two."""
    return coarse.bit_length() - fine.bit_length()


def stage_multipliers(multipliers: Sequence[int] | None, stages: int, coarse_stages: int) -> tuple[int, ...]:
    """Channel multipliers of all stages of a convolutional encoder, from full resolution down.

    The first ``stages`` lead to the finest level: as given, or 1, 2, 4, 4, 4 … where None (the SD3 pattern). The
    ``coarse_stages`` that follow repeat the last one, so that one set of parameters serves any number of levels.
    """
    chosen = tuple(multipliers) if multipliers is not None else tuple(min(2**i, 4) for i in range(stages))
    return chosen + chosen[-1:] * coarse_stages


def split_depth(depth: int, levels: int) -> tuple[int, ...]:
    """Blocks of each level of a transformer encoder, fine to coarse; they add up to ``depth``, earlier ones get the rest."""
    share, rest = divmod(depth, levels)
    return tuple(share + (i < rest) for i in range(levels))
