"""The categorical posterior over codewords and its relaxed samples."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from vqbench.interfaces import PosteriorSums
from vqbench.ops.precision import true_float32
from vqbench_plugins.quantizers.gumbel import GumbelForm, gumbel_noise

__all__ = ["Draw", "posterior_logits", "relaxed_sample", "sum_posteriors"]

SCORES_AT_ONCE = {"cpu": 1 << 20, "cuda": 1 << 28}
"""Logits held at a time by device type; a training step needs about six tensors of that many numbers.

On a CPU they stay in its cache: two to three times as fast as 2^24 of them at once, although made twice.
"""


class Draw(NamedTuple):
    """What relaxed sampling makes of N positions.

    Attributes:
        values: ``(N, d)``, convex combinations of codewords.
        negative_entropy: ``Σ_ik π ln π``, a scalar, in nats.
        probabilities: ``Σ_i π``, ``(K,)``, detached.
        codes: the most probable codeword of each position, int64 ``(N,)``; without noise.
    """

    values: Tensor
    negative_entropy: Tensor
    probabilities: Tensor
    codes: Tensor


def posterior_logits(means: Tensor, precisions: Tensor, codebook: Tensor) -> Tensor:
    """``-½ Σ_c w_c (g_c - b_c)²`` of every pair, ``(N, K)``, up to a constant of the row, which no softmax sees.

    That constant holds ``|g|²``: left out, a mean far from the codebook costs the differences between codewords no digits.

    Args:
        means: g, ``(N, d)``, float32.
        precisions: w = 1/s², ``(N, 1)``, or per channel ``(N, d)``.
        codebook: b, ``(K, d)``.
    """
    origin = codebook.detach().mean(dim=0)
    means, words = means - origin, codebook - origin
    if precisions.shape[1] == 1:
        return precisions * (_product(means, words.T) - words.square().sum(dim=1) / 2)
    return _product(
        torch.cat([precisions * means, precisions / -2], dim=1), torch.cat([words, words.square()], dim=1).T
    )


def relaxed_sample(
    means: Tensor,
    precisions: Tensor,
    codebook: Tensor,
    temperature: Tensor,
    *,
    uniforms: Tensor | None = None,
    form: GumbelForm = "guarded",
) -> Draw:
    """A Gumbel-softmax sample: ``softmax((logits + G)/tau)`` times the codebook. Not straight-through.

    Where all logits do not fit :data:`SCORES_AT_ONCE`, positions go through in parts, each computed again for the gradient.

    Args:
        means: ``(N, d)``, float32.
        precisions: 1/s², ``(N, 1)`` or ``(N, d)``.
        codebook: ``(K, d)``.
        temperature: tau, a scalar; below 1e-10 it acts as that.
        uniforms: the random numbers behind the noise, in [0, 1), ``(N, K)``; None draws them from torch's generator.
        form: formula of the noise.

    Source: sony/sqvae@dc88ab1 (Takida et al., arXiv 2205.07547).
    """
    height = _rows_at_once(means.device, codebook)
    if len(means) <= height:
        return _draw(means, precisions, codebook, temperature, uniforms, form)
    parts = []
    for start in range(0, len(means), height):
        part = slice(start, start + height)
        noise = None if uniforms is None else uniforms[part]
        arguments = (means[part], precisions[part], codebook, temperature, noise, form)
        parts.append(checkpoint(_draw, *arguments, use_reentrant=False))
    return Draw(
        values=torch.cat([part.values for part in parts]),
        negative_entropy=torch.stack([part.negative_entropy for part in parts]).sum(),
        probabilities=torch.stack([part.probabilities for part in parts]).sum(dim=0),
        codes=torch.cat([part.codes for part in parts]),
    )


@torch.no_grad()
def sum_posteriors(means: Tensor, precisions: Tensor, codebook: Tensor) -> PosteriorSums:
    """Sums of the posteriors ``softmax(logits)`` of N positions and of their entropies; arguments as :func:`posterior_logits`."""
    probabilities = torch.zeros(len(codebook), dtype=torch.float64, device=means.device)
    entropy = torch.zeros((), dtype=torch.float64, device=means.device)
    height = _rows_at_once(means.device, codebook)
    for start in range(0, len(means), height):
        part = slice(start, start + height)
        log_posterior = posterior_logits(means[part], precisions[part], codebook).log_softmax(dim=1)
        posterior = log_posterior.exp()
        probabilities += posterior.sum(dim=0, dtype=torch.float64)
        entropy -= (posterior * log_posterior).sum(dtype=torch.float64)
    return PosteriorSums(probabilities=probabilities, entropy=entropy, count=len(means))


def _rows_at_once(device: torch.device, codebook: Tensor) -> int:
    return max(SCORES_AT_ONCE.get(device.type, SCORES_AT_ONCE["cpu"]) // len(codebook), 1)


def _draw(
    means: Tensor, precisions: Tensor, codebook: Tensor, temperature: Tensor, uniforms: Tensor | None, form: GumbelForm
) -> Draw:
    logits = posterior_logits(means, precisions, codebook)
    uniforms = torch.rand_like(logits) if uniforms is None else uniforms
    weights = ((logits + gumbel_noise(uniforms, form)) / temperature.clamp(min=1e-10)).softmax(dim=1)
    log_probabilities = logits.log_softmax(dim=1)
    probabilities = log_probabilities.exp()
    return Draw(
        values=_product(weights, codebook),
        negative_entropy=(probabilities * log_probabilities).sum(),
        probabilities=probabilities.detach().sum(dim=0),
        codes=logits.detach().argmax(dim=1),
    )


class _Product(torch.autograd.Function):
    """A matrix product in true float32, forward and backward: its error is multiplied by 1/s², which grows large."""

    @staticmethod
    def forward(ctx: Any, left: Tensor, right: Tensor) -> Tensor:
        ctx.save_for_backward(left, right)
        with true_float32(left.device):
            return left @ right

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        left, right = ctx.saved_tensors
        with true_float32(gradient.device):
            of_left = gradient @ right.T if ctx.needs_input_grad[0] else None
            of_right = left.T @ gradient if ctx.needs_input_grad[1] else None
        return of_left, of_right


def _product(left: Tensor, right: Tensor) -> Tensor:
    product: Tensor = _Product.apply(left, right)
    return product
