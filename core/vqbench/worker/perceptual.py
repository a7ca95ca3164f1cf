"""The perceptual distance of the training loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

from vqbench.errors import UnavailableError

__all__ = ["Perceptual", "load_perceptual"]

Perceptual: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""Distances ``(B,)`` of originals and reconstructions ``(B, 3, H, W)``, both scaled to [-1, 1];
differentiable in the second.
"""


def load_perceptual(weight: float, device: torch.device) -> Perceptual | None:
    """LPIPS (VGG-16; Zhang et al., arXiv 1801.03924) as a training loss, or None where its weight is 0.

    Raises:
        UnavailableError: the weight is positive. This version of vqbench does not ship the network's weights.
    """
    if weight == 0:
        return None
    raise UnavailableError(
        "recipe.lpips_weight asks for LPIPS, whose network weights this version of vqbench cannot load",
        got=f"lpips_weight = {weight}",
        expected="0",
        hint="Set lpips_weight = 0 in the recipe, or --set recipe.lpips_weight=0.",
    )
