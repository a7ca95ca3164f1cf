"""Which parameters of the codebook methods go together, in plain arithmetic."""

from __future__ import annotations

from vqbench.errors import ParameterError

__all__ = ["check_averages", "check_vq"]


def check_vq(*, update: str, loss: str, restart_below: float, decay: float, eps: float) -> None:
    """Raise ParameterError for an option of one kind of codebook beside another kind."""
    if loss == "joint" and update != "gradient":
        raise ParameterError(
            "loss 'joint' moves the codebook by its gradient",
            got=f"update = {update!r}",
            expected="update = 'gradient'",
            hint="Use loss 'split'.",
        )
    if update == "ema":
        check_averages(decay=decay, eps=eps)
    elif restart_below > 0:
        raise ParameterError(
            "restart_below is a running count, which only an ema codebook has",
            got=f"restart_below = {restart_below:g} with update = {update!r}",
            hint="Set update = 'ema' or restart_below = 0.",
        )


def check_averages(*, decay: float, eps: float) -> None:
    """Raise ParameterError for running averages that never move, keep nothing, or divide by zero."""
    if not 0 < decay < 1:
        raise ParameterError("decay of the running averages is out of range", got=decay, expected="between 0 and 1")
    if not eps > 0:
        raise ParameterError(
            "eps must be positive: it keeps the codewords that nothing uses finite", got=eps, hint="Take 1e-5."
        )
