"""Between images in [0, 1] and what networks work on, in [-1, 1]."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["from_images", "to_images"]


def from_images(images: Tensor) -> Tensor:
    """[0, 1] to [-1, 1]."""
    return images * 2 - 1


def to_images(outputs: Tensor) -> Tensor:
    """[-1, 1] to [0, 1], not clamped; at least float32, as 8 bits of mantissa are coarser than grey levels."""
    return (outputs.to(torch.promote_types(outputs.dtype, torch.float32)) + 1) / 2
