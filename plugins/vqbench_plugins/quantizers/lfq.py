"""LFQ: the sign of each channel is a bit; no codebook is looked up (MAGVIT-v2, arXiv 2310.05737)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from vqbench.interfaces import Quantized
from vqbench_plugins.quantizers.binary import BinaryQuantizer
from vqbench_plugins.quantizers.binary_codes import BitOrder
from vqbench_plugins.quantizers.entropy import EntropyReduction, LogGuard

__all__ = ["LFQ"]


class LFQ(BinaryQuantizer):
    """Lookup-free quantization: codes are sign vectors in {-s, s}^d, with a straight-through gradient.

    Losses: ``commitment`` = mean (z - sg q)² and ``entropy`` = w_s·H_s - w_b·H_b of the soft codes
    ``softmax(2 z·c / T)``, in nats. At the published T only latents of some hundredths move the entropy: the method
    relies on an encoder that keeps latents small (a normalisation layer) or on the commitment.

    Args:
        bits: d, one per channel.
        token_bits: bits of the tokens: of all alike, or of each; by default one token of up to 62 bits.
        bit_order: ``msb-first`` has channel 0 as a token's most significant bit (lucidrains, Cosmos), ``lsb-first`` as
            its least significant (Open-MAGVIT2, MaskBit).
        temperature: T.
        scale: s.
        entropy_group: bits of one group of the codebook entropy; None for the joint entropy, up to 18 bits.
        entropy_reduction: ``sum`` over groups, ``mean`` (groups as codebooks of their own), or ``pooled``.
        log_guard: of published codes; ``none`` is exact.
        entropy_weight: of the entropy loss.
        sample_entropy_weight: w_s.
        codebook_entropy_weight: w_b, the weight of diversity.
        commitment_weight: of the commitment loss.

    Raises:
        ParameterError: tokens or groups that do not divide the bits, or are too large.
    """

    def __init__(
        self,
        bits: int,
        token_bits: Sequence[int] | None = None,
        bit_order: BitOrder = "msb-first",
        temperature: float = 0.01,
        scale: float = 1.0,
        entropy_group: int | None = None,
        entropy_reduction: EntropyReduction = "sum",
        log_guard: LogGuard = "none",
        entropy_weight: float = 0.1,
        sample_entropy_weight: float = 1.0,
        codebook_entropy_weight: float = 1.0,
        commitment_weight: float = 0.25,
    ) -> None:
        super().__init__(
            bits,
            scale=scale,
            inverse_temperature=1 / temperature,
            token_bits=token_bits,
            bit_order=bit_order,
            entropy_group=entropy_group,
            entropy_reduction=entropy_reduction,
            log_guard=log_guard,
            entropy_weight=entropy_weight,
            sample_entropy_weight=sample_entropy_weight,
            codebook_entropy_weight=codebook_entropy_weight,
            commitment_weight=commitment_weight,
        )

    def forward(self, latents: Tensor) -> Quantized:
        return self.quantize(latents)
