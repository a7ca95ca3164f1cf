"""Which parameters of stochastic quantizers go together; asked when a matrix is planned and when a quantizer is built."""

from __future__ import annotations

from collections.abc import Sequence

from vqbench.errors import ParameterError

__all__ = ["check_hybrid", "check_layers", "check_schedule", "check_variance_init"]

MOST_LEVELS = 3


def check_schedule(start: float, rate: float, minimum: float) -> None:
    """Raise ParameterError unless the temperature falls, from above zero, to no less than its minimum."""
    if not start > 0:
        raise ParameterError("tau_start must be positive", got=start, hint="The published schedule starts at 1.")
    if rate < 0:
        raise ParameterError("tau_rate must not be negative: the temperature falls", got=rate)
    if not 0 <= minimum <= start:
        raise ParameterError(
            "tau_min is out of range", got=minimum, expected=f"0 to tau_start = {start}", hint="Lower tau_min."
        )


def check_variance_init(init: float) -> None:
    """Raise ParameterError unless the trained variance starts positive."""
    if not init > 0:
        raise ParameterError("variance_init must be positive", got=init, hint="Take about a third of dim.")


def check_layers(layers: int, variance: str, posterior: str) -> None:
    """Raise ParameterError for a stack of residual layers that is defined only for one scalar variance per layer."""
    if layers < 1:
        raise ParameterError("layers must be at least 1", got=layers)
    if layers > 1 and (variance != "I" or posterior != "gaussian"):
        raise ParameterError(
            "residual layers are defined for one Gaussian variance per layer",
            got=f"layers = {layers} with variance {variance!r} and posterior {posterior!r}",
            hint="Use variance 'I' and posterior 'gaussian', or layers = 1.",
        )
    if posterior == "vmf" and variance != "I":
        raise ParameterError(
            "a von Mises-Fisher posterior has one concentration", got=f"variance {variance!r}", expected="'I'"
        )


def check_hybrid(layers: Sequence[int], codebook_sizes: Sequence[int]) -> None:
    """Raise ParameterError unless there is one number of layers and one codebook size for each of one to three levels."""
    if not 1 <= len(layers) <= MOST_LEVELS:
        raise ParameterError(
            "layers has a wrong number of entries",
            got=list(layers),
            expected=f"1 to {MOST_LEVELS} levels, coarse to fine",
        )
    if len(codebook_sizes) != len(layers):
        raise ParameterError(
            "layers and codebook_sizes differ in length",
            got=f"layers = {list(layers)}, codebook_sizes = {list(codebook_sizes)}",
            hint="Give one entry per level in both, coarse to fine.",
        )
