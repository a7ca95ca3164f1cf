"""BSQ: the latent on the unit sphere, quantized to the nearest corner of the inscribed cube (arXiv 2406.07548)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from torch import Tensor

from vqbench.interfaces import Quantized, StepClock, straight_through
from vqbench_plugins.quantizers.binary import BinaryQuantizer
from vqbench_plugins.quantizers.binary_codes import BitOrder
from vqbench_plugins.quantizers.entropy import EntropyReduction, LogGuard
from vqbench_plugins.quantizers.sphere import on_sphere

__all__ = ["BSQ"]


class BSQ(BinaryQuantizer):
    """Binary spherical quantization: ``u = z/‖z‖``, codes in {-1/√d, 1/√d}^d, which are unit vectors as well.

    Losses: ``commitment`` = mean over positions of Σ_i (u_i - q_i)², and ``entropy`` = (γ0·H_s - γ·H_b)/τ of the soft
    codes ``softmax(2 τ u·c)``, in nats.

    Args:
        bits: d, one per channel.
        token_bits: bits of the tokens: of all alike, or of each; by default one token of up to 62 bits.
        bit_order: whether a token's first channel is its most or its least significant bit.
        inverse_temperature: τ.
        gradient_scale: of the value with respect to u: ``1/sqrt(d)``, straight through the sign and then scaled
            (bsq-vit), or ``1`` (Infinity, lucidrains).
        entropy_group: bits of one group of the codebook entropy; 1 for bit by bit, None for the joint entropy.
        entropy_reduction: ``sum`` over groups, ``mean``, or ``pooled``: with groups of one bit the form of the GQ
            authors' comparison, which balances bits on average only.
        log_guard: of published codes; ``none`` is exact.
        entropy_weight: of the entropy loss; ζ times the codebook weight.
        sample_entropy_weight: γ0.
        codebook_entropy_weight: γ.
        commitment_weight: β times the codebook weight.
        boost: factor on the weights of both losses at the first step; it falls linearly to 1.
        boost_steps: steps that takes.

    Raises:
        ParameterError: tokens or groups that do not divide the bits, or are too large.

    Source: zhaoyue-zephyrus/bsq-vit, which normalises before its quantizer module.
    """

    def __init__(
        self,
        bits: int,
        token_bits: Sequence[int] | None = None,
        bit_order: BitOrder = "msb-first",
        inverse_temperature: float = 1.0,
        gradient_scale: Literal["1/sqrt(d)", "1"] = "1/sqrt(d)",
        entropy_group: int | None = 1,
        entropy_reduction: EntropyReduction = "sum",
        log_guard: LogGuard = "none",
        entropy_weight: float = 0.1,
        sample_entropy_weight: float = 1.0,
        codebook_entropy_weight: float = 1.0,
        commitment_weight: float = 0.0,
        boost: float = 1.0,
        boost_steps: int = 2000,
    ) -> None:
        super().__init__(
            bits,
            scale=1 / math.sqrt(max(bits, 1)),
            inverse_temperature=inverse_temperature,
            token_bits=token_bits,
            bit_order=bit_order,
            entropy_group=entropy_group,
            entropy_reduction=entropy_reduction,
            log_guard=log_guard,
            entropy_weight=entropy_weight,
            sample_entropy_weight=sample_entropy_weight / inverse_temperature,
            codebook_entropy_weight=codebook_entropy_weight / inverse_temperature,
            commitment_weight=commitment_weight,
        )
        self.gradient_scale = gradient_scale
        self.boost, self.boost_steps, self._factor = boost, boost_steps, boost

    def on_step(self, clock: StepClock) -> None:
        progress = min(clock.step / self.boost_steps, 1.0)
        self._factor = progress + self.boost * (1 - progress)

    def forward(self, latents: Tensor) -> Quantized:
        out = self.quantize(on_sphere(latents, dim=1) if self.training else latents)
        losses = {name: replace(loss, weight=loss.weight * self._factor) for name, loss in out.losses.items()}
        return replace(out, losses=losses)

    def _passing(self, points: Tensor, value: Tensor) -> Tensor:
        return straight_through(points, value, 1.0 if self.gradient_scale == "1" else self.scale)

    def _commitment(self, points: Tensor, value: Tensor) -> Tensor:
        return self.latent_channels * super()._commitment(points, value)
