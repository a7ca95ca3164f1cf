"""Parameters of codebooks that are kept as running averages, and their names."""

from __future__ import annotations

from vqbench.specs import Parameter

__all__ = ["AVERAGES", "ema_parameters"]

AVERAGES = ("decay", "eps", "counts_init", "restart_below", "restart_rule")
"""Names of :func:`ema_parameters`: a level passes them on to its quantizer."""


def ema_parameters(*, restart_below: float = 0.0, restart_rule: str = "replace") -> tuple[Parameter, ...]:
    """The parameters, with a method's own defaults for restarts."""
    return (
        Parameter(
            name="decay", type="float", default=0.99, minimum=0.0, maximum=1.0, summary="of the running averages"
        ),
        Parameter(name="eps", type="float", default=1e-5, minimum=0.0, summary="smoothing of the running counts"),
        Parameter(
            name="counts_init",
            type="str",
            default="ones",
            choices=("ones", "zeros"),
            summary="start of the running counts; zeros, as in several published codes, throws unused codewords away",
        ),
        Parameter(
            name="restart_below",
            type="float",
            default=restart_below,
            minimum=0.0,
            summary="a codeword with a smaller running count starts again at a random latent; 0: never",
        ),
        Parameter(
            name="restart_rule",
            type="str",
            default=restart_rule,
            choices=("replace", "tile"),
            summary="as many restarts as there are latents, or all of them at latents repeated with noise (RQ-VAE)",
        ),
    )
