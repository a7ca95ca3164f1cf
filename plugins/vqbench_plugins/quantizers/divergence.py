"""The divergence loss of a Gaussian posterior: plain, or pulled to a target per token."""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from vqbench.interfaces import Loss
from vqbench_plugins.quantizers.grouping import Grouping, split_groups
from vqbench_plugins.quantizers.tdc import NATS_TO_BITS, TDC, TDC_RULES, BitsSpread, TargetWeights

__all__ = ["Constraint", "DivergenceLoss", "Variant", "token_nats"]

Constraint: TypeAlias = Literal["tdc", "kl"]
Variant: TypeAlias = Literal["tdc", "tdc-astrained", "tdc-nolam", "tdc-gq2", "target"]


def token_nats(means: Tensor, log_variances: Tensor, dim: int, grouping: Grouping) -> Tensor:
    """Divergence from N(0, 1) of each token's posterior, ``½ Σ_i (μ² + σ² - 1 - log σ²)``: ``(B, G, h, w)`` nats."""
    nats = 0.5 * (means.square() + torch.exp(log_variances) - 1 - log_variances)
    return split_groups(nats, dim, grouping).sum(dim=-1)


class DivergenceLoss(nn.Module):
    """The loss that keeps posteriors near the prior, and what to watch of it.

    Args:
        dim: m, channels per token.
        grouping: which channels form a token.
        constraint: ``kl`` is the plain divergence in nats, summed over tokens and averaged over images; ``tdc`` pulls
            each token's divergence to the target.
        target_bits: target of ``tdc`` per token.
        tolerance: half width of its band in bits.
        variant: published form of ``tdc``: see :data:`~vqbench_plugins.quantizers.tdc.TDC_RULES`, and ``target`` for
            :class:`~vqbench_plugins.quantizers.tdc.TargetWeights`.
        weight: beside the squared error summed over an image. (``tdc-gq2`` is a mean over tokens, and its published
            weight is beside that sum all the same: its multiplier has to make up for it.)
    """

    tdc: TDC | TargetWeights | None

    def __init__(
        self,
        *,
        dim: int,
        grouping: Grouping,
        constraint: Constraint,
        target_bits: float,
        tolerance: float,
        variant: Variant,
        weight: float,
    ) -> None:
        super().__init__()
        self.dim, self.grouping, self.weight = dim, grouping, weight
        if constraint == "kl":
            self.tdc = None
        elif variant == "target":
            self.tdc = TargetWeights(target_bits, tolerance)
        else:
            self.tdc = TDC(target_bits, tolerance, TDC_RULES[variant])

    def forward(self, means: Tensor, log_variances: Tensor) -> tuple[Loss, dict[str, Tensor]]:
        """Loss and statistics of posteriors ``(B, C, h, w)``; in training mode adaptive weights then take their step.

        Statistics: ``bits_mean``, ``bits_min`` and ``bits_max`` over the tokens of all processes, and the multipliers
        after the step.
        """
        nats = token_nats(means, log_variances, self.dim, self.grouping)
        bits = NATS_TO_BITS * nats
        spread = BitsSpread.of(bits)
        statistics = {"bits_mean": spread.mean, "bits_min": spread.least, "bits_max": spread.largest}
        if self.tdc is None:
            value = nats.sum() / len(nats)
        else:
            value = self.tdc(bits, spread)
            statistics |= {name: multiplier.clone() for name, multiplier in self.tdc.named_buffers()}
        return Loss(value=value, unit="image_sum", weight=self.weight), statistics
