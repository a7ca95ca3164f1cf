"""TokenBridge: each channel of a trained Gaussian VAE quantized on its own, after training (arXiv 2503.16430)."""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from vqbench.errors import ParameterError
from vqbench.interfaces import Quantized, Quantizer
from vqbench.ops import nearest_codeword
from vqbench_plugins.quantizers.gaussian import evaluation_noise, posterior, sample

__all__ = ["Definition", "TokenBridge", "midpoint_levels", "truncated_normal_levels"]

Definition: TypeAlias = Literal["official", "gq"]
SPAN = 3.0
"""Levels lie within ± this many standard deviations of N(0, 1)."""


def truncated_normal_levels(bits: int) -> Tensor:
    """The ``2^bits`` levels ``E[X | e_k < X < e_k+1]`` of a standard normal X, float32, ascending.

    The edges e_k are the normal's quantiles of k/2^bits, clipped to ±3. Quantiles are taken in float64, everything
    after them in float32 as in the released code, which leaves the levels a little asymmetric; to reproduce them.
    The two functions among it are rounded correctly, so that the levels are the same on every machine; another
    library's float32 exponential may round one that is half way to the other side, which moves a level by up to 4e-6.
    """
    edges = _normal_edges(1 << bits).clamp(-SPAN, SPAN).float()
    density = torch.exp((-0.5 * edges.square()).double()).float() / math.sqrt(2 * math.pi)
    distribution = torch.erf((edges / math.sqrt(2)).double()).float()
    probability = (0.5 * (1 + distribution)).diff()
    return -density.diff() / probability.where(probability != 0, 1e-10)


def midpoint_levels(bits: int) -> Tensor:
    """The ``2^bits`` levels in the middle of equally probable cells of N(0, 1), the outermost at ±3: float32, ascending."""
    edges = _normal_edges(1 << bits)
    ends = edges.new_tensor([SPAN])
    return torch.cat([-ends, (edges[1:-2] + edges[2:-1]) / 2, ends]).float()


def _normal_edges(cells: int) -> Tensor:
    edges: Tensor = torch.special.ndtri(torch.linspace(0, 1, cells + 1, dtype=torch.float64))
    return edges


class TokenBridge(Quantizer):
    """Per-channel scalar quantization with one table for all channels: one token per channel.

    A conversion of a Gaussian VAE: nothing is trained or fitted, training mode changes nothing, and the value carries
    no gradient. The code of a number x is the level nearest to ``u``, the lowest one on ties.

    ``official``: ``u = scale · x · 3/span`` clamped to ±3, levels of :func:`truncated_normal_levels`. A code is the
    nearest level, not the cell that holds u; and with ``span`` 5 the variable is shrunk by 0.6 while its levels are
    those of a standard normal. ``gq`` is what the authors of Gaussian quantization compare with: ``u = scale · x`` and
    :func:`midpoint_levels`.

    Args:
        channels: C; the latent has 2C channels, means and then log variances.
        bits: per channel: ``2^bits`` levels, 1 to 9; with more, cells of the official table lie wholly beyond ±3.
        definition: ``official`` or ``gq``.
        input: what is quantized: the posterior's ``mean``, or a ``sample`` of it with the noise of
            :func:`~vqbench_plugins.quantizers.gaussian.evaluation_noise`. By default a sample for ``official``, as
            released, and the mean for ``gq``.
        scale: brings the latent to unit variance, positive. Ours has it by the prior it is trained with; the latent of
            the released model needs 0.2325.
        span: half width of the range of ``official``, in units of the scaled latent; positive.

    Raises:
        ParameterError: bits out of range, or a scale or span that is not positive.

    Source: arXiv 2503.16430 and its released code; ``gq``: the released code of arXiv 2512.06609.
    """

    levels: Tensor
    values: Tensor

    def __init__(
        self,
        channels: int,
        bits: int = 6,
        definition: Definition = "official",
        input: Literal["mean", "sample"] | None = None,
        scale: float = 1.0,
        span: float = 5.0,
    ) -> None:
        super().__init__()
        if not 1 <= bits <= 9:
            raise ParameterError("bits is out of range", got=bits, expected="1 to 9 per channel")
        for name, value in (("scale", scale), ("span", span)):
            if not (value > 0 and math.isfinite(value)):
                raise ParameterError(f"{name} must be positive", got=value)
        self.definition, self.scale, self.span = definition, scale, span
        self.input = input or ("sample" if definition == "official" else "mean")
        self.latent_channels, self.code_channels = 2 * channels, channels
        self.codebook_sizes = (1 << bits,) * channels
        if definition == "official":
            levels = truncated_normal_levels(bits)
            values = (levels + SPAN) / (2 * SPAN) * (2 * span) - span
        else:
            levels = values = midpoint_levels(bits)
        self.register_buffer("levels", levels, persistent=False)
        self.register_buffer("values", values / scale, persistent=False)

    def forward(self, latents: Tensor) -> Quantized:
        means, log_variances = posterior(latents.detach())
        sampled = self.input == "sample"
        scaled = self.scale * (sample(means, log_variances, evaluation_noise(means)) if sampled else means)
        if self.definition == "official":
            scaled = ((scaled + self.span) / (2 * self.span) * (2 * SPAN) - SPAN).clamp(-SPAN, SPAN)
        codes = nearest_codeword(scaled[..., None], self.levels[:, None])  # T = C
        return Quantized(value=self.decode(codes), codes=codes)

    def decode(self, codes: Tensor) -> Tensor:
        return self.values[codes]
