"""What a layer of a stochastic quantizer carries, from its posteriors."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["entropy", "layer_information"]


def entropy(probabilities: Tensor) -> Tensor:
    """``-Σ p ln p`` over the last axis, in nats; 0·ln 0 = 0."""
    return -torch.xlogy(probabilities, probabilities).sum(dim=-1)


def layer_information(mean_probabilities: Tensor, mean_entropy: Tensor) -> Tensor:
    """``MI = H(mean π) - mean H(π)`` in nats: what knowing the image tells about the layer's code.

    Between 0 (every posterior is alike: the layer carries nothing) and ln K.

    Args:
        mean_probabilities: mean posterior over the positions of the whole set, ``(…, K)``.
        mean_entropy: mean over the same positions of each posterior's entropy, in nats, ``(…)``.
    """
    return entropy(mean_probabilities) - mean_entropy
