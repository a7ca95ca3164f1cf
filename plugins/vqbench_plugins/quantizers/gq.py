"""GQ: a Gaussian VAE becomes a tokenizer by choosing, per token, a word of a fixed Gaussian codebook."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from vqbench.interfaces import Quantized, Quantizer, straight_through
from vqbench.ops import nearest_gaussian
from vqbench_plugins.quantizers.checks import check_codebook_size, check_groups, whole_bits
from vqbench_plugins.quantizers.divergence import Constraint, DivergenceLoss, Variant
from vqbench_plugins.quantizers.gaussian import posterior, sample
from vqbench_plugins.quantizers.gaussian_codebook import gaussian_codebook
from vqbench_plugins.quantizers.grouping import Grouping, join_groups, split_groups

__all__ = ["GQ"]


class GQ(Quantizer):
    """Gaussian quantization.

    Each group of m channels is a token, whose code is that of the codeword c with the highest
    ``Σ_i [log N(c_i; μ_i, σ_i²) - beta · log N(c_i; 0, 1)]``. Nothing is fitted.

    Args:
        channels: C, of the mean; the latent has 2C channels, means and then log variances.
        codebook_size: K.
        dim: m, channels per token; divides C.
        beta: weight of the prior: 1 for the log ratio of posterior and prior, 0 for the distance in units of sigma.
        seed: of the codebook.
        grouping: which channels form a token; released models are ``strided``.
        training: with ``conversion`` a Gaussian VAE is trained in its place: here training mode changes nothing, and
            the value carries no gradient. ``straight-through`` trains through the codewords: the value is the codeword,
            its gradient that of the posterior sample ``s = μ + σ·ε`` (∂s/∂μ = 1, ∂s/∂log σ² = σ·ε/2), beside the
            divergence loss that the remaining arguments describe as for
            :class:`~vqbench_plugins.quantizers.gaussian.GaussianVAE`. Adaptive weights rest in evaluation.
        target_bits: target of ``tdc`` per token; by default log2 K.

    Raises:
        ParameterError: ``dim`` does not divide ``channels``, the codebook size is out of range, or with
            ``straight-through`` it is no power of two and there is no ``target_bits``.

    Source: Gaussian Quantization, arXiv 2512.06609; ``straight-through`` is the second class of its released code.
    """

    codebook: Tensor

    def __init__(
        self,
        channels: int,
        codebook_size: int,
        dim: int,
        beta: float = 1.0,
        seed: int = 42,
        grouping: Grouping = "strided",
        training: Literal["conversion", "straight-through"] = "conversion",
        constraint: Constraint = "tdc",
        target_bits: float | None = None,
        tolerance: float = 0.5,
        variant: Variant = "tdc",
        kl_weight: float = 0.1,
    ) -> None:
        super().__init__()
        check_codebook_size(codebook_size)
        check_groups(channels, dim)
        self.dim, self.beta, self.grouping = dim, beta, grouping
        self.latent_channels, self.code_channels = 2 * channels, channels
        self.codebook_sizes = (codebook_size,) * (channels // dim)
        self.register_buffer("codebook", gaussian_codebook(codebook_size, dim, seed), persistent=False)
        self.divergence: DivergenceLoss | None = None
        if training == "straight-through":
            if target_bits is None:
                target_bits = whole_bits(codebook_size) if constraint == "tdc" else 0.0
            self.divergence = DivergenceLoss(
                dim=dim,
                grouping=grouping,
                constraint=constraint,
                target_bits=target_bits,
                tolerance=tolerance,
                variant=variant,
                weight=kl_weight,
            )

    def forward(self, latents: Tensor) -> Quantized:
        means, log_variances = posterior(latents)
        codes = self._codes(means, log_variances)
        words = self.decode(codes)
        if self.divergence is None or not self.training:
            return Quantized(value=words, codes=codes)
        loss, statistics = self.divergence(means, log_variances)
        drawn = sample(means, log_variances, torch.randn_like(means))
        return Quantized(value=straight_through(drawn, words), codes=codes, losses={"kl": loss}, statistics=statistics)

    def decode(self, codes: Tensor) -> Tensor:
        return join_groups(F.embedding(codes, self.codebook), self.grouping)

    def _codes(self, means: Tensor, log_variances: Tensor) -> Tensor:
        """Codes ``(B, T, h, w)`` of posteriors ``(B, C, h, w)``."""
        means, log_variances = (split_groups(part, self.dim, self.grouping) for part in (means, log_variances))
        return nearest_gaussian(means, log_variances, self.codebook, beta=self.beta)
