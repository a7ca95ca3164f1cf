"""SQ: stochastic quantization in one layer (SQ-VAE) or in residual layers (RSQ-VAE, the levels of SQ-VAE-2 and HQ-VAE)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vqbench.interfaces import Loss, ParameterGroup, PosteriorSums, Quantized, Quantizer, StepClock
from vqbench.ops import nearest_gaussian, nearest_residual
from vqbench_plugins.quantizers.categorical import Draw, relaxed_sample, sum_posteriors
from vqbench_plugins.quantizers.checks import check_codebook_size
from vqbench_plugins.quantizers.distributed import sum_over_processes
from vqbench_plugins.quantizers.gumbel import GumbelForm, temperature_at
from vqbench_plugins.quantizers.information import entropy, layer_information
from vqbench_plugins.quantizers.quantization_variance import QuantizationVariance, VarianceForm, VarianceType
from vqbench_plugins.quantizers.sphere import on_sphere
from vqbench_plugins.quantizers.stochastic_checks import check_layers, check_schedule, check_variance_init

__all__ = ["SQ"]


class SQ(Quantizer):
    """Codewords drawn from a posterior whose variance s² trains itself; T layers, each on what the ones before left.

    The posterior of layer l at a position with residual r (the encoder's mean g for the first layer) is
    ``π = softmax_k(-|r - b_k|²/(2 s_l²))``. Training passes on a relaxed Gumbel-softmax sample, a convex combination
    of codewords, and the next layer quantizes ``r`` less that sample; nothing is detached or passed straight through.
    Evaluation takes the most probable codeword of each layer; the value is their sum.

    Losses, in nats, summed over positions, mean over images, for an ELBO: ``kld_discrete`` = Σ π ln π of all layers;
    ``kld_continuous`` = |g - Σ_l z_l|² / (2 Σ_l s_l²), one distance with the summed variances.

    Scores of all positions and codewords are never held at once; see :mod:`~vqbench_plugins.quantizers.categorical`.

    Args:
        codebook_size: K, of each layer.
        dim: d, channels of a codeword.
        layers: T, tokens per position.
        variance: type of s²: one number per layer (``I``), or from a second half of the latent, of d channels, which
            holds log variances: per image (``II``), position (``III``) or position and channel (``IV``).
        variance_form: how the trained scalar a joins that: ``sum`` (type I: 1 + exp(a)) or ``product`` (exp(a)).
        variance_init: exp(a) before training; larger for a larger dim. For ``vmf``, of the concentration.
        variance_lr_scale: factor on the learning rate of a.
        posterior: ``gaussian``; or ``vmf``, von Mises-Fisher: latents and codewords on the unit sphere, π of logits
            κ g·b with κ in place of 1/s² and κ's own form and init, ``kld_continuous`` = κ Σ g·(g - z). One layer, type I.
        shared_codebook: one codebook for all layers.
        tau_start: temperature of the relaxation at the start.
        tau_rate: its exponential rate of decay per step.
        tau_min: its least value.
        noise: formula of the Gumbel noise, ``guarded`` or ``clamped``.
        prefix_weight: progressive coding: the weight of the reconstruction from each prefix of the layers, which the
            objective then takes in; None for none.

    Raises:
        ParameterError: parameters out of range, or that do not go together.

    Source: Takida et al., SQ-VAE, arXiv 2205.07547 (sony/sqvae@dc88ab1); HQ-VAE, arXiv 2401.00365.
    """

    temperature: Tensor

    def __init__(
        self,
        codebook_size: int,
        dim: int,
        layers: int = 1,
        variance: VarianceType = "I",
        variance_form: VarianceForm = "sum",
        variance_init: float = 20.0,
        variance_lr_scale: float = 1.0,
        posterior: Literal["gaussian", "vmf"] = "gaussian",
        shared_codebook: bool = False,
        tau_start: float = 1.0,
        tau_rate: float = 1e-5,
        tau_min: float = 0.0,
        noise: GumbelForm = "guarded",
        prefix_weight: float | None = None,
    ) -> None:
        super().__init__()
        check_codebook_size(codebook_size)
        check_layers(layers, variance, posterior)
        check_schedule(tau_start, tau_rate, tau_min)
        check_variance_init(variance_init)
        self.dim, self.layers, self.posterior, self.noise = dim, layers, posterior, noise
        self.variance_lr_scale, self.prefix_weight = variance_lr_scale, prefix_weight
        self.tau_start, self.tau_rate, self.tau_min = tau_start, tau_rate, tau_min
        self.latent_channels = dim if variance == "I" else 2 * dim
        self.code_channels, self.codebook_sizes = dim, (codebook_size,) * layers
        self.codebooks = nn.Parameter(torch.randn(1 if shared_codebook else layers, codebook_size, dim))
        self.variance = QuantizationVariance(layers, variance, variance_form, variance_init)
        self.register_buffer("temperature", torch.tensor(tau_start))

    def forward(self, latents: Tensor) -> Quantized:
        if self.training:
            return self.relax(latents)
        codes = self._most_probable(latents)
        return Quantized(value=self.decode(codes), codes=codes)

    def relax(self, latents: Tensor, uniforms: Tensor | None = None) -> Quantized:
        """The training pass.

        Args:
            latents: ``(B, latent_channels, h, w)``.
            uniforms: the random numbers behind the noise, in [0, 1), ``(T, B·h·w, K)``, rows in the order (B, h, w);
                None draws them from torch's generator.
        """
        means, variances = self._split(latents)
        residual = means
        prefixes: list[Tensor] = []
        draws: list[Draw] = []
        for layer, variance in enumerate(variances):
            draw = relaxed_sample(
                _rows(residual),
                _precisions(variance, means),
                self._codebook(layer),
                self.temperature,
                uniforms=None if uniforms is None else uniforms[layer],
                form=self.noise,
            )
            sample = draw.values.view(len(means), *means.shape[-2:], self.dim).permute(0, 3, 1, 2)
            residual = residual - sample
            prefixes.append(sample if layer == 0 else prefixes[-1] + sample)
            draws.append(draw)
        discrete = torch.stack([draw.negative_entropy for draw in draws]).sum() / len(means)
        continuous = self._distance(means, residual, variances) / len(means)
        codes = torch.stack([draw.codes.view(len(means), *means.shape[-2:]) for draw in draws], dim=1)
        return Quantized(
            value=prefixes[-1],
            codes=codes,
            losses={
                "kld_discrete": Loss(value=discrete, unit="image_sum"),
                "kld_continuous": Loss(value=continuous, unit="image_sum"),
            },
            statistics=self._statistics(draws, variances),
            prefixes=() if self.prefix_weight is None else tuple(prefixes),
            prefix_weight=1.0 if self.prefix_weight is None else self.prefix_weight,
        )

    def decode(self, codes: Tensor) -> Tensor:
        value = self._words(codes, 0)
        for layer in range(1, self.layers):
            value = value + self._words(codes, layer)
        return value

    def posterior_sums(self, latents: Tensor, codes: Tensor) -> list[PosteriorSums]:
        """Of each layer, on what the codewords of the layers before left of the means."""
        residual, variances = self._split(latents)
        sums = []
        for layer, variance in enumerate(variances):
            sums.append(sum_posteriors(_rows(residual), _precisions(variance, residual), self._codebook(layer)))
            residual = residual - self._words(codes, layer)
        return sums

    def on_step(self, clock: StepClock) -> None:
        """Set the temperature of the step, the first one being step 1 of the schedule."""
        tau = temperature_at(clock.step + 1, start=self.tau_start, rate=self.tau_rate, minimum=self.tau_min)
        self.temperature.fill_(tau)

    def parameter_groups(self) -> list[ParameterGroup]:
        """Codewords at the network's rate, the variances at their own; neither with weight decay."""
        return [
            ParameterGroup(parameters=[self.codebooks]),
            ParameterGroup(parameters=[self.variance.log_scale], lr_scale=self.variance_lr_scale),
        ]

    def _split(self, latents: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Means ``(B, d, h, w)`` and the variance of each layer (broadcastable to them)."""
        if self.posterior == "vmf":
            return on_sphere(latents, dim=1), tuple(kappa.reciprocal() for kappa in self.variance(None))
        means = latents[:, : self.dim]
        return means, self.variance(latents[:, self.dim :] if self.latent_channels > self.dim else None)

    def _distance(self, means: Tensor, residual: Tensor, variances: Sequence[Tensor]) -> Tensor:
        """The distance term summed over the batch; ``residual`` is the means less all samples."""
        if self.posterior == "vmf":
            return (means * residual / variances[0]).sum()
        total = torch.stack(tuple(variances)).sum(dim=0)  # variances of independent Gaussians add
        return (residual.square() / (2 * total)).sum()

    def _codebook(self, layer: int) -> Tensor:
        codebook = self.codebooks[layer % len(self.codebooks)]
        return on_sphere(codebook, dim=1) if self.posterior == "vmf" else codebook

    def _words(self, codes: Tensor, layer: int) -> Tensor:
        return F.embedding(codes[:, layer], self._codebook(layer)).permute(0, 3, 1, 2)

    def _most_probable(self, latents: Tensor) -> Tensor:
        means, variances = self._split(latents)
        residual = means.movedim(1, -1)  # (B, h, w, d)
        codebooks = [self._codebook(layer) for layer in range(self.layers)]
        if self.variance.kind != "IV":  # one variance for all channels: the nearest codeword
            return nearest_residual(residual, codebooks).movedim(-1, 1).contiguous()
        codes: list[Tensor] = []
        for variance, codebook in zip(variances, codebooks, strict=True):
            codes.append(nearest_gaussian(residual, variance.log().movedim(1, -1), codebook, beta=0.0))
            residual = residual - F.embedding(codes[-1], codebook)
        return torch.stack(codes, dim=1)

    @torch.no_grad()
    def _statistics(self, draws: Sequence[Draw], variances: Sequence[Tensor]) -> dict[str, Tensor]:
        """Of each layer, over the batch of all processes: s², mean posterior entropy and information in nats, and the
        perplexity of the codes and of the mean posterior (which stays high for a layer that carries nothing).
        """
        statistics = {"temperature": self.temperature.clone()}
        for layer, (draw, variance) in enumerate(zip(draws, variances, strict=True)):
            prefix = f"layer{layer}/" if self.layers > 1 else ""
            hits = torch.bincount(draw.codes, minlength=len(draw.probabilities))
            # summed over processes, then divided by what N sums to: processes may hold different numbers of images
            sums = sum_over_processes(
                torch.cat([draw.probabilities, hits, draw.negative_entropy.detach()[None]]).double()
            )
            posterior, used = sums[:-1].chunk(2)
            mean_entropy, mean_posterior = -sums[-1] / used.sum(), posterior / used.sum()
            of_layer = {
                "variance": variance.detach().mean(),
                "posterior_entropy": mean_entropy.float(),
                "information": layer_information(mean_posterior, mean_entropy).float(),
                "perplexity": entropy(used / used.sum()).exp().float(),
                "soft_perplexity": entropy(mean_posterior).exp().float(),
            }
            statistics |= {prefix + name: value for name, value in of_layer.items()}
        return statistics


def _precisions(variance: Tensor, means: Tensor) -> Tensor:
    """1/s² for each row of the means, ``(B·h·w, 1 or d)``."""
    return _rows(variance.reciprocal().expand(len(means), -1, *means.shape[-2:]))


def _rows(maps: Tensor) -> Tensor:
    """Maps ``(B, C, h, w)`` as rows ``(B·h·w, C)``."""
    return maps.permute(0, 2, 3, 1).reshape(-1, maps.shape[1])
