"""What components hand back: of the right kind, dtype, shape and device, or one error that names who did not.

All that is looked at lies on the host, so no check waits for a GPU.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import Tensor, device, int64

from vqbench.errors import PluginError, TensorError
from vqbench.interfaces import Loss, Quantized

__all__ = ["check_codes", "check_features", "check_map", "check_quantized", "form"]

UNITS = ("image_sum", "element_mean")


def check_features(owner: str, features: object, levels: int) -> None:
    """A backbone's ``encode``: a list of one feature map per level.

    Raises:
        PluginError: something else.
    """
    if not isinstance(features, list | tuple) or not all(isinstance(of_level, Tensor) for of_level in features):
        raise PluginError(
            f"{owner}: encode returned something else", got=form(features), expected="a list of one tensor per level"
        )
    if len(features) != levels:
        raise PluginError(
            f"{owner}: encode returned a wrong number of feature maps", got=len(features), expected=levels
        )


def check_map(owner: str, what: str, tensor: object, shape: tuple[int, ...], place: device) -> None:
    """A latent, a value or reconstructed images: floating point, of this shape, where the rest is.

    Raises:
        TensorError: something else.
    """
    if (
        not isinstance(tensor, Tensor)
        or tensor.shape != shape
        or not tensor.is_floating_point()
        or tensor.device != place
    ):
        raise TensorError(
            f"{owner}: {what} is of a wrong form", got=form(tensor), expected=f"floating point {shape} on {place}"
        )


def check_quantized(owner: str, quantized: object) -> None:
    """A quantizer's ``forward``: a :class:`~vqbench.interfaces.Quantized` with losses by name, in units that there are.

    Raises:
        PluginError: something else.
        TensorError: a loss is no scalar.
    """
    if not isinstance(quantized, Quantized):
        raise PluginError(
            f"{owner}: forward returned something else", got=form(quantized), expected="vqbench.Quantized"
        )
    losses = quantized.losses
    if not isinstance(losses, Mapping) or not all(isinstance(loss, Loss) for loss in losses.values()):
        raise PluginError(f"{owner}: losses is malformed", got=form(losses), expected="vqbench.Loss by name")
    for name, loss in losses.items():
        if not isinstance(loss.value, Tensor) or loss.value.ndim:
            raise TensorError(
                f"{owner}: the loss {name!r} is malformed", got=form(loss.value), expected="a scalar tensor"
            )
        if loss.unit not in UNITS:
            raise PluginError(
                f"{owner}: the loss {name!r} is in an unknown unit", got=repr(loss.unit), expected=" or ".join(UNITS)
            )
        if not isinstance(loss.weight, int | float) or not math.isfinite(loss.weight):
            raise PluginError(
                f"{owner}: the weight of the loss {name!r} is malformed",
                got=repr(loss.weight),
                expected="a finite number",
            )


def check_codes(owner: str, codes: object, shape: tuple[int, ...]) -> None:
    """Codes of a level: int64 ``(B, T, h, w)``.

    Raises:
        TensorError: something else.
    """
    if not isinstance(codes, Tensor) or codes.dtype != int64 or codes.shape != shape:
        raise TensorError(f"{owner} returns malformed codes", got=form(codes), expected=f"torch.int64 {shape}")


def form(value: object) -> str:
    """Dtype, shape and, off the CPU, device of a tensor; of anything else its type, of a list those of its elements."""
    if isinstance(value, Tensor):
        where = "" if value.device.type == "cpu" else f" on {value.device}"
        return f"{value.dtype} {tuple(value.shape)}{where}"
    if isinstance(value, list | tuple):
        return f"a {type(value).__name__} of {', '.join(type(element).__name__ for element in value[:8]) or 'nothing'}"
    return type(value).__name__
