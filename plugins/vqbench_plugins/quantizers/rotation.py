"""The rotation trick: the gradient of turning a latent onto its codeword, in place of the identity's."""

from __future__ import annotations

import torch
from torch import Tensor

from vqbench_plugins.quantizers.sphere import on_sphere

__all__ = ["rotate_onto"]

SHORTEST = 1e-6
"""Length under which a latent has no direction to turn from."""


def rotate_onto(latents: Tensor, words: Tensor) -> Tensor:
    """The words ``(…, d)``, as latents ``(…, d)`` rotated and scaled onto them.

    ``(|q|/|z|) · [z - 2w(w·z) + 2q̂(ẑ·z)]`` with ``ẑ = z/|z|``, ``q̂ = q/|q|`` and ``w = (ẑ + q̂)/|ẑ + q̂|``, all of it but
    the z inside the brackets without gradient. The value is q up to rounding. The gradient turns with the latent, and
    none reaches the words.

    A latent shorter than 1e-6 has no direction: it passes straight through. (The published code gives 0 there instead of
    q, and a gradient up to |q|·1e6.)

    Source: Fifty et al., Restructuring Vector Quantization with the Rotation Trick, arXiv 2410.06424, section 4.2.
    """
    words = words.detach()
    length = latents.detach().square().sum(dim=-1, keepdim=True).sqrt_()
    unit, target = on_sphere(latents.detach(), dim=-1), on_sphere(words, dim=-1)
    middle = on_sphere(unit + target, dim=-1)
    turned = (
        latents
        - 2 * middle * (middle * latents).sum(dim=-1, keepdim=True)
        + 2 * target * (unit * latents).sum(dim=-1, keepdim=True)
    )
    rotated = turned * (words.square().sum(dim=-1, keepdim=True).sqrt_() / length.clamp(min=SHORTEST))
    return torch.where(length < SHORTEST, latents + (words - latents.detach()), rotated)
