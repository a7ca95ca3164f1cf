"""Gaussian VAE: a continuous latent with a regularised posterior; what GQ is trained as, and its ceiling."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from vqbench.errors import VQBenchError
from vqbench.interfaces import Quantized, Quantizer, no_codes
from vqbench_plugins.quantizers.checks import check_groups
from vqbench_plugins.quantizers.divergence import Constraint, DivergenceLoss, Variant
from vqbench_plugins.quantizers.grouping import Grouping

__all__ = ["GaussianVAE", "evaluation_noise", "posterior", "sample"]

NOISE_SEED = 42


def posterior(latents: Tensor) -> tuple[Tensor, Tensor]:
    """Means and log variances ``(B, C, h, w)`` of latents ``(B, 2C, h, w)``; log variances clamped to [-30, 20]."""
    means, log_variances = latents.chunk(2, dim=1)
    return means, log_variances.clamp(-30.0, 20.0)


def sample(means: Tensor, log_variances: Tensor, noise: Tensor) -> Tensor:
    """The reparameterised sample ``μ + σ·ε``, all tensors of one shape."""
    return means + torch.exp(log_variances / 2) * noise


def evaluation_noise(means: Tensor) -> Tensor:
    """Standard normal noise like the means ``(B, C, h, w)``, for samples whose evaluation must be repeatable.

    One field of noise ``(C, h, w)`` from a fixed seed, the same for every image: so what an image evaluates to depends
    neither on its batch nor on the device, and the global random state is left alone.
    """
    generator = torch.Generator().manual_seed(NOISE_SEED)
    return torch.randn(means.shape[1:], generator=generator).to(means).expand_as(means)


class GaussianVAE(Quantizer):
    """The reparameterised Gaussian bottleneck; it has no codes.

    The latent's first half holds means, its second half log variances. Training passes the decoder a sample.

    Args:
        channels: C, of the mean.
        dim: m, channels per token: what the constraint and the statistics are taken over. Divides C.
        constraint: ``tdc`` pulls each token's divergence to ``target_bits`` (bits, adaptive weights); ``kl`` is the
            plain divergence in nats with a constant weight. Both are summed over tokens and averaged over images.
        target_bits: target of ``tdc``; log2 of the codebook size it shall be converted to.
        tolerance: half width of the band of ``tdc`` in bits.
        variant: published form of ``tdc``; see :class:`~vqbench_plugins.quantizers.divergence.DivergenceLoss`.
        grouping: which channels form a token.
        kl_weight: weight of the loss beside the squared error summed over an image.
        evaluation: what evaluation passes the decoder: the posterior ``mean``, or a ``sample`` with the noise of
            :func:`evaluation_noise`.

    Raises:
        ParameterError: ``dim`` does not divide ``channels``.

    Source: Kingma and Welling, arXiv 1312.6114; TDC: arXiv 2512.06609.
    """

    def __init__(
        self,
        channels: int,
        dim: int,
        constraint: Constraint = "tdc",
        target_bits: float = 16.0,
        tolerance: float = 0.5,
        variant: Variant = "tdc",
        grouping: Grouping = "strided",
        kl_weight: float = 0.1,
        evaluation: Literal["mean", "sample"] = "mean",
    ) -> None:
        super().__init__()
        check_groups(channels, dim)
        self.evaluation = evaluation
        self.latent_channels, self.code_channels, self.codebook_sizes = 2 * channels, channels, ()
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
        codes = no_codes(latents)
        if not self.training:
            sampled = self.evaluation == "sample"
            value = sample(means, log_variances, evaluation_noise(means)) if sampled else means
            return Quantized(value=value, codes=codes)
        loss, statistics = self.divergence(means, log_variances)
        value = sample(means, log_variances, torch.randn_like(means))
        return Quantized(value=value, codes=codes, losses={"kl": loss}, statistics=statistics)

    def decode(self, codes: Tensor) -> Tensor:
        raise VQBenchError(
            "a Gaussian VAE's latent is continuous and has no codes to decode",
            hint="Convert the trained model with a post-training quantizer such as 'gq'.",
        )
