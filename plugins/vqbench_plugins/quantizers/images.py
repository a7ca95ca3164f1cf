"""A few images at a time, so that what is made of them in between stays in the processor's cache."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["few_images"]

NUMBERS = 1 << 18
"""Of the values of images that are made together: 1 MB."""


def few_images(make: Callable[[Tensor], Tensor], codes: Tensor, channels: int) -> Tensor:
    """``make(codes)``, contiguous; where no gradient is wanted a few images at a time.

    Args:
        make: values ``(b, channels, h, w)`` of codes ``(b, T, h, w)``, each image's by itself.
        codes: ``(B, T, h, w)``.
        channels: of the values.
    """
    batch, _, height, width = codes.shape
    images = max(NUMBERS // max(channels * height * width, 1), 1)
    if torch.is_grad_enabled() or images >= batch:
        return make(codes).contiguous()
    values = None
    for start in range(0, batch, images):
        part = make(codes[start : start + images])
        if values is None:
            values = part.new_empty(batch, channels, height, width)
        values[start : start + images] = part
    assert values is not None
    return values
