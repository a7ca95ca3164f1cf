"""The step from decoded images to the 8-bit images that metrics are defined on."""

from __future__ import annotations

import torch
from torch import Tensor

from vqbench.errors import TensorError
from vqbench.interfaces import EvaluationBatch

__all__ = ["evaluation_batch", "to_uint8"]


def to_uint8(images: Tensor) -> Tensor:
    """Images in [0, 1], clamped and rounded to the nearest of 256 levels, as uint8 of the same shape.

    Ties go to the even level (``torch.round``), computed in float32; ``n / 255`` gives n back for every n.

    Raises:
        TensorError: an image holds NaN or infinity.
    """
    if not images.isfinite().all():
        bad = int((~images.isfinite()).sum())
        raise TensorError("images hold values that are not finite", got=f"{bad} of {images.numel()}")
    return images.float().clamp(0, 1).mul(255).round().to(torch.uint8)


def evaluation_batch(originals: Tensor, reconstructions: Tensor) -> EvaluationBatch:
    """What metrics are given: originals in [0, 1] and reconstructions as decoded, both ``(B, 3, H, W)``.

    Raises:
        TensorError: the shapes differ or are not those of RGB images, or a value is not finite.
    """
    shape = tuple(originals.shape)
    if originals.ndim != 4 or shape[1] != 3:
        raise TensorError("originals are not a batch of RGB images", got=shape, expected="(B, 3, H, W)")
    if tuple(reconstructions.shape) != shape:
        raise TensorError(
            "reconstructions do not have the originals' shape", got=tuple(reconstructions.shape), expected=shape
        )
    return EvaluationBatch(
        originals=originals.float(),
        reconstructions=reconstructions.float(),
        originals_uint8=to_uint8(originals),
        reconstructions_uint8=to_uint8(reconstructions),
    )
