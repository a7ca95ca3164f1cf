"""GQ: a trained Gaussian VAE becomes a tokenizer by choosing, per token, a word of a fixed Gaussian codebook."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from vqbench.interfaces import Quantized, Quantizer
from vqbench.ops import nearest_gaussian
from vqbench_plugins.quantizers.checks import check_codebook_size, check_groups
from vqbench_plugins.quantizers.gaussian import posterior
from vqbench_plugins.quantizers.gaussian_codebook import gaussian_codebook
from vqbench_plugins.quantizers.grouping import Grouping, join_groups, split_groups

__all__ = ["GQ"]


class GQ(Quantizer):
    """Gaussian quantization, a conversion: nothing is trained or fitted, and training mode changes nothing.

    The value carries no gradient; what is trained is a Gaussian VAE. Each group of m channels is a token, whose code is
    that of the codeword c with the highest ``Σ_i [log N(c_i; μ_i, σ_i²) - beta · log N(c_i; 0, 1)]``.

    Args:
        channels: C, of the mean; the latent has 2C channels, means and then log variances.
        codebook_size: K.
        dim: m, channels per token; divides C.
        beta: weight of the prior: 1 for the log ratio of posterior and prior, 0 for the distance in units of sigma.
        seed: of the codebook.
        grouping: which channels form a token; released models are ``strided``.

    Raises:
        ParameterError: ``dim`` does not divide ``channels``, or the codebook size is out of range.

    Source: Gaussian Quantization, arXiv 2512.06609.
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
    ) -> None:
        super().__init__()
        check_codebook_size(codebook_size)
        check_groups(channels, dim)
        self.dim, self.beta, self.grouping = dim, beta, grouping
        self.latent_channels, self.code_channels = 2 * channels, channels
        self.codebook_sizes = (codebook_size,) * (channels // dim)
        self.register_buffer("codebook", gaussian_codebook(codebook_size, dim, seed), persistent=False)

    def forward(self, latents: Tensor) -> Quantized:
        means, log_variances = (split_groups(half.detach(), self.dim, self.grouping) for half in posterior(latents))
        indices = nearest_gaussian(
            means.reshape(-1, self.dim), log_variances.reshape(-1, self.dim), self.codebook, beta=self.beta
        )
        codes = indices.view(means.shape[:-1])  # (B, T, h, w)
        return Quantized(value=self.decode(codes), codes=codes)

    def decode(self, codes: Tensor) -> Tensor:
        return join_groups(F.embedding(codes, self.codebook), self.grouping)
