"""Gaussian VAE: a continuous latent with a regularised posterior; what GQ is trained as, and its ceiling."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from vqbench.errors import VQBenchError
from vqbench.interfaces import Loss, Quantized, Quantizer, no_codes
from vqbench_plugins.quantizers.checks import check_groups
from vqbench_plugins.quantizers.grouping import Grouping, split_groups
from vqbench_plugins.quantizers.tdc import NATS_TO_BITS, TDC, TDC_RULES

__all__ = ["GaussianVAE", "posterior", "sample", "token_nats"]


def posterior(latents: Tensor) -> tuple[Tensor, Tensor]:
    """Means and log variances ``(B, C, h, w)`` of latents ``(B, 2C, h, w)``; log variances clamped to [-30, 20]."""
    means, log_variances = latents.chunk(2, dim=1)
    return means, log_variances.clamp(-30.0, 20.0)


def sample(means: Tensor, log_variances: Tensor, noise: Tensor) -> Tensor:
    """The reparameterised sample ``μ + σ·ε``, all tensors of one shape."""
    return means + torch.exp(log_variances / 2) * noise


def token_nats(means: Tensor, log_variances: Tensor, dim: int, grouping: Grouping) -> Tensor:
    """Divergence from N(0, 1) of each token's posterior, ``½ Σ_i (μ² + σ² - 1 - log σ²)``: ``(B, G, h, w)`` nats."""
    nats = 0.5 * (means.square() + torch.exp(log_variances) - 1 - log_variances)
    return split_groups(nats, dim, grouping).sum(dim=-1)


class GaussianVAE(Quantizer):
    """The reparameterised Gaussian bottleneck; it has no codes.

    The latent's first half holds means, its second half log variances. Training passes the decoder a sample, evaluation
    the posterior mean.

    Args:
        channels: C, of the mean.
        dim: m, channels per token: what the constraint and the statistics are taken over. Divides C.
        constraint: ``tdc`` pulls each token's divergence to ``target_bits`` (bits, adaptive weights); ``kl`` is the
            plain divergence in nats with a constant weight. Both are summed over tokens and averaged over images.
        target_bits: target of ``tdc``; log2 of the codebook size it shall be converted to.
        tolerance: half width of the band of ``tdc`` in bits.
        variant: ``tdc``, or ``tdc-astrained``, where the weight of tokens above the band never falls.
        grouping: which channels form a token.
        kl_weight: weight of the loss beside the squared error summed over an image.

    Raises:
        ParameterError: ``dim`` does not divide ``channels``.

    Source: Kingma and Welling, arXiv 1312.6114; TDC: arXiv 2512.06609.
    """

    def __init__(
        self,
        channels: int,
        dim: int,
        constraint: Literal["tdc", "kl"] = "tdc",
        target_bits: float = 16.0,
        tolerance: float = 0.5,
        variant: Literal["tdc", "tdc-astrained"] = "tdc",
        grouping: Grouping = "strided",
        kl_weight: float = 0.1,
    ) -> None:
        super().__init__()
        check_groups(channels, dim)
        self.dim, self.grouping, self.kl_weight = dim, grouping, kl_weight
        self.tdc = TDC(target_bits, tolerance, TDC_RULES[variant]) if constraint == "tdc" else None
        self.latent_channels, self.code_channels, self.codebook_sizes = 2 * channels, channels, ()

    def forward(self, latents: Tensor) -> Quantized:
        means, log_variances = posterior(latents)
        codes = no_codes(latents)
        if not self.training:
            return Quantized(value=means, codes=codes)
        nats = token_nats(means, log_variances, self.dim, self.grouping)
        bits = NATS_TO_BITS * nats
        watched = bits.detach()
        statistics = {"bits_mean": watched.mean(), "bits_min": watched.min(), "bits_max": watched.max()}
        loss = nats.sum() / len(nats) if self.tdc is None else self.tdc(bits)
        if self.tdc is not None:
            statistics |= {name: multiplier.clone() for name, multiplier in self.tdc.named_buffers()}
        return Quantized(
            value=sample(means, log_variances, torch.randn_like(means)),
            codes=codes,
            losses={"kl": Loss(value=loss, unit="image_sum", weight=self.kl_weight)},
            statistics=statistics,
        )

    def decode(self, codes: Tensor) -> Tensor:
        raise VQBenchError(
            "a Gaussian VAE's latent is continuous and has no codes to decode",
            hint="Convert the trained model with a post-training quantizer such as 'gq'.",
        )
