"""The perceptual distance of the training loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

from vqbench.errors import UnavailableError
from vqbench.worker.lpips import load_lpips

__all__ = ["Perceptual", "load_perceptual"]

Perceptual: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""Distances ``(B,)`` of originals and reconstructions ``(B, 3, H, W)``, both scaled to [-1, 1];
differentiable in the second.
"""


def load_perceptual(weight: float, device: torch.device) -> Perceptual | None:
    """LPIPS (VGG-16; Zhang et al., arXiv 1801.03924) as a training loss, or None where its weight is 0.

    Raises:
        UnavailableError: the weight is positive, and the network's weights are not here.
    """
    if weight == 0:
        return None
    try:
        return load_lpips("vgg", device)[0]
    except UnavailableError as error:
        raise UnavailableError(
            f"recipe.lpips_weight = {weight} asks for LPIPS. {error.what}",
            got=error.got,
            expected=error.expected,
            hint=f"{error.hint} Or train without: --set recipe.lpips_weight=0.",
        ) from error
