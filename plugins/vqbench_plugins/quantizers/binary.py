"""What LFQ and BSQ share: signs as codes, a straight-through gradient, commitment and entropy losses."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from vqbench.interfaces import Loss, Quantized, Quantizer, straight_through
from vqbench_plugins.quantizers.binary_checks import entropy_group_size, token_sizes
from vqbench_plugins.quantizers.binary_codes import BinaryTokens, BitOrder
from vqbench_plugins.quantizers.entropy import CodeEntropy, EntropyReduction, LogGuard

__all__ = ["BinaryQuantizer"]


class BinaryQuantizer(Quantizer):
    """A bit per channel: 1 where the latent is positive, 0 elsewhere, at zero too; its value is ``±scale``.

    Losses, with H_s the mean entropy of the soft codes ``softmax(2 τ z·c)`` and H_b that of their mean:
    ``entropy`` = w_s·H_s - w_b·H_b, which is negative where codes are both decided and diverse, and ``commitment``.

    Args:
        bits: d, one per channel.
        scale: s.
        inverse_temperature: τ.
        token_bits: bits of the tokens; see :func:`~vqbench_plugins.quantizers.binary_checks.token_sizes`.
        bit_order: of the bits within a token.
        entropy_group: bits of one group of the codebook entropy; None for all, the joint entropy.
        entropy_reduction: of the groups.
        log_guard: of the entropies.
        entropy_weight: of the whole entropy loss.
        sample_entropy_weight: w_s.
        codebook_entropy_weight: w_b.
        commitment_weight: of the commitment loss.

    Raises:
        ParameterError: tokens or groups that do not divide the bits, or are too large.
    """

    def __init__(
        self,
        bits: int,
        *,
        scale: float,
        inverse_temperature: float,
        token_bits: Sequence[int] | None,
        bit_order: BitOrder,
        entropy_group: int | None,
        entropy_reduction: EntropyReduction,
        log_guard: LogGuard,
        entropy_weight: float,
        sample_entropy_weight: float,
        codebook_entropy_weight: float,
        commitment_weight: float,
    ) -> None:
        super().__init__()
        sizes = token_sizes(bits, token_bits)
        self.tokens = BinaryTokens(sizes, bit_order)
        self.latent_channels = self.code_channels = bits
        self.codebook_sizes = tuple(1 << size for size in sizes)
        self.scale, self.inverse_temperature = scale, inverse_temperature
        group = entropy_group_size(bits, entropy_group)
        self.entropy = CodeEntropy(group=group, reduction=entropy_reduction, guard=log_guard)
        self.entropy_weight, self.commitment_weight = entropy_weight, commitment_weight
        self.sample_entropy_weight = sample_entropy_weight
        self.codebook_entropy_weight = codebook_entropy_weight

    def quantize(self, points: Tensor) -> Quantized:
        """Quantize points ``(B, d, h, w)`` that are already where the codes lie; in evaluation only signs matter."""
        signs = points.detach()
        bits = torch.gt(signs, 0, out=torch.empty_like(signs))  # the numbers 0 and 1
        codes, value = self.tokens.pack(bits), self._value(bits)
        if not self.training:
            return Quantized(value=value, codes=codes)
        logits = (4 * self.inverse_temperature * self.scale * points.movedim(1, 0).flatten(1)).T  # (N, d)
        of_samples, of_codebook = self.entropy.sample(logits), self.entropy.codebook(logits)
        entropy = self.sample_entropy_weight * of_samples - self.codebook_entropy_weight * of_codebook
        return Quantized(
            value=self._passing(points, value),
            codes=codes,
            losses={
                "commitment": Loss(
                    value=self._commitment(points, value),
                    unit="element_mean",
                    weight=self.commitment_weight,
                ),
                "entropy": Loss(value=entropy, unit="element_mean", weight=self.entropy_weight),
            },
            statistics={"sample_entropy": of_samples.detach(), "codebook_entropy": of_codebook.detach()},
        )

    def decode(self, codes: Tensor) -> Tensor:
        return self._value(self.tokens.unpack(codes))

    def _value(self, bits: Tensor) -> Tensor:
        return bits.mul(2 * self.scale).sub_(self.scale)

    def _passing(self, points: Tensor, value: Tensor) -> Tensor:
        """The value, with the gradient that reaches the points."""
        return straight_through(points, value)

    def _commitment(self, points: Tensor, value: Tensor) -> Tensor:
        """The commitment loss of points and value ``(B, d, h, w)``."""
        return F.mse_loss(points, value)
