"""The quantizer of one level."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

__all__ = [
    "Loss",
    "ParameterGroup",
    "PosteriorSums",
    "Quantized",
    "Quantizer",
    "StepClock",
    "no_codes",
    "straight_through",
]


@dataclass(frozen=True)
class StepClock:
    """Where training stands: ``step`` of ``total`` optimiser steps; ``step`` is 0 before the first one."""

    step: int
    total: int


@dataclass(frozen=True, kw_only=True)
class Loss:
    """One named loss as a quantizer leaves it.

    Attributes:
        value: scalar tensor, before its weight.
        unit: ``"image_sum"`` (summed over positions, mean over the batch; nats for ELBO methods) or ``"element_mean"``.
        weight: the method's own default weight; a recipe may override it by name.
    """

    value: Tensor
    unit: Literal["image_sum", "element_mean"]
    weight: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Quantized:
    """What a quantizer makes of a latent.

    Attributes:
        value: the decoder's input, ``(B, code_channels, h, w)``.
        codes: int64 ``(B, T, h, w)``, slot t in ``[0, K_t)``; T = 0 for a continuous latent.
        losses: by name; empty in evaluation.
        statistics: detached scalars worth watching in training, by name.
        prefixes: for progressive coding, in training: the values ``(B, code_channels, h, w)`` of the level's first
            layer, its first two and so on, the last one equal to ``value``. Each is decoded with zeros for the values of
            finer levels, and an ELBO objective takes in its reconstruction.
        prefix_weight: weight of the reconstruction from each of these prefixes.
    """

    value: Tensor
    codes: Tensor
    losses: Mapping[str, Loss] = field(default_factory=dict)
    statistics: Mapping[str, Tensor] = field(default_factory=dict)
    prefixes: tuple[Tensor, ...] = ()
    prefix_weight: float = 1.0


@dataclass(frozen=True, kw_only=True)
class PosteriorSums:
    """Sums over the positions of a batch of one slot's posteriors over codes.

    Attributes:
        probabilities: sum of the posteriors, float64 ``(K,)``.
        entropy: sum of their entropies in nats, a float64 scalar.
        count: how many positions.
    """

    probabilities: Tensor
    entropy: Tensor
    count: int


@dataclass(frozen=True, kw_only=True)
class ParameterGroup:
    """Parameters that share optimiser settings: a factor on the learning rate and whether weight decay applies."""

    parameters: list[nn.Parameter]
    lr_scale: float = 1.0
    weight_decay: bool = False


class Quantizer(nn.Module, ABC):
    """Turns the latent of one level into codes and codes into the decoder's input.

    A subclass sets ``latent_channels`` (asked of the encoder; 2·C for a Gaussian posterior), ``code_channels`` (given to the
    decoder) and ``codebook_sizes`` ``(K_1 … K_T)``, and implements :meth:`forward` and :meth:`decode`. State that adapts during
    training lives in buffers, so that a resumed run equals an uninterrupted one. Quantizers run in float32; the tokenizer
    switches autocast off around them.
    """

    latent_channels: int
    code_channels: int
    codebook_sizes: tuple[int, ...]

    @abstractmethod
    def forward(self, latents: Tensor) -> Quantized:
        """Quantize latents ``(B, latent_channels, h, w)``, float32.

        In training mode the value is differentiable. In evaluation mode it equals ``decode(codes)`` bit for bit.
        """

    @abstractmethod
    def decode(self, codes: Tensor) -> Tensor:
        """The value ``(B, code_channels, h, w)`` of codes ``(B, T, h, w)``, from the codes alone."""

    def posterior_sums(self, latents: Tensor, codes: Tensor) -> list[PosteriorSums] | None:
        """What a stochastic method knows of its codes before it picks one, for the mutual information of image and code.

        Called in evaluation, beside the codes and without a part in them. By default None: a deterministic method.

        Args:
            latents: ``(B, latent_channels, h, w)``, float32.
            codes: what evaluation made of them, ``(B, T, h, w)``.

        Returns:
            One entry per slot.
        """
        return None

    def fit(self, latents: Iterable[Tensor]) -> None:
        """Calibrate on the training set's latents after training; by default there is nothing to do."""

    def on_step(self, clock: StepClock) -> None:
        """Called before each training step, for methods that anneal; by default there is nothing to do."""

    def parameter_groups(self) -> list[ParameterGroup]:
        """How the optimiser treats the quantizer's parameters: by default the network's rate, no weight decay."""
        parameters = [p for p in self.parameters() if p.requires_grad]
        return [ParameterGroup(parameters=parameters)] if parameters else []

    def extra_repr(self) -> str:
        return (
            f"latent_channels={self.latent_channels}, code_channels={self.code_channels}, "
            f"codebook_sizes={self.codebook_sizes}"
        )


def straight_through(latents: Tensor, value: Tensor, slope: float | Tensor = 1.0) -> Tensor:
    """The value, exactly, with a gradient to latents of its shape as if it were ``slope · latents``, and none to its making.

    It costs no pass over memory in front, and one on the way back unless the slope is 1.

    Args:
        latents: of any shape.
        value: of the same shape.
        slope: the identity's by default (Bengio et al., arXiv 1308.3432); a number, or a constant tensor that broadcasts.
    """
    passed: Tensor = _StraightThrough.apply(latents, value.detach(), slope)
    return passed


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, latents: Tensor, value: Tensor, slope: float | Tensor) -> Tensor:
        ctx.slope = slope
        return value

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        plain = isinstance(ctx.slope, float) and ctx.slope == 1.0
        return gradient if plain else gradient * ctx.slope, None, None


def no_codes(latents: Tensor) -> Tensor:
    """The codes of a continuous latent: int64 ``(B, 0, h, w)``."""
    batch, _, height, width = latents.shape
    return torch.empty(batch, 0, height, width, dtype=torch.int64, device=latents.device)
