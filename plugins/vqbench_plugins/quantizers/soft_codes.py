"""Probabilities of all codes of a few soft bits, and the gradient that they pass back to the bits.

Tables have positions last, so that every pass over them runs along memory: ``(groups, 2^n, positions)``, the first bit of a
group the most significant of its codes.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["bit_gradient", "bit_probabilities", "code_probabilities"]


def bit_probabilities(logits: Tensor) -> Tensor:
    """Probabilities ``(groups, bits, 2, positions)`` of 0 and of 1, of logits ``(groups, bits, positions)``."""
    return torch.stack([-logits, logits], dim=2).sigmoid_()


def code_probabilities(of_bits: Tensor) -> Tensor:
    """Probabilities ``(groups, 2^n, positions)`` of all codes of n bits ``(groups, n, 2, positions)``; 1 for no bits."""
    groups, bits, _, positions = of_bits.shape
    table = of_bits[:, 0] if bits else of_bits.new_ones(groups, 1, positions)
    for bit in range(1, bits):
        table = (table[:, :, None] * of_bits[:, bit, None]).flatten(1, 2)
    return table


def bit_gradient(weighted: Tensor, of_bits: Tensor) -> Tensor:
    """Gradient with respect to logits, ``(groups, n, positions)``, of what has the gradient G in the table.

    With ``dp(c)/da_i = p(c)·σ(-a_i)`` where bit i of c is 1 and ``-p(c)·σ(a_i)`` where it is 0, nothing cancels but what
    should: the gradient of a saturated bit is small, and not rounded to 0.

    Args:
        weighted: G times the table, ``(groups, 2^n, positions)``.
        of_bits: the probabilities that the table is made of.
    """
    bits = of_bits.shape[1]
    codes = torch.arange(1 << bits, device=weighted.device)
    ones = codes >> torch.arange(bits - 1, -1, -1, device=weighted.device)[:, None] & 1
    choice = torch.stack([1 - ones, ones], dim=1).flatten(0, 1).to(weighted.dtype)  # (2 n, 2^n)
    sums = torch.unflatten(choice @ weighted, 1, (bits, 2))
    return sums[:, :, 1] * of_bits[:, :, 0] - sums[:, :, 0] * of_bits[:, :, 1]
