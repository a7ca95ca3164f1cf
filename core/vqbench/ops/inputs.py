"""What the searches accept."""

from __future__ import annotations

import torch
from torch import Tensor

from vqbench.errors import TensorError

__all__ = ["check_inputs"]

_FLOATS = (torch.float32, torch.float16, torch.bfloat16)


def check_inputs(queries: dict[str, Tensor], codebook: Tensor, *, grouped: bool, finite: bool) -> None:
    """Refuse what cannot be searched.

    Args:
        queries: what is searched for, by name: ``(…, N, d)``, of one shape.
        codebook: ``(K, d)``.
        grouped: whether a codebook ``(G, K, d)`` will do as well, with queries ``(G, N, d)``.
        finite: whether to look for NaN and infinity.

    Raises:
        TensorError: wrong shape, dtype or device; with ``finite``, values that are not finite.
    """
    if codebook.ndim not in ((2, 3) if grouped else (2,)) or 0 in codebook.shape:
        shapes = "(K, d) or (G, K, d) with G, K, d >= 1" if grouped else "(K, d) with K, d >= 1"
        raise TensorError("codebook has the wrong shape", got=tuple(codebook.shape), expected=shapes)
    dim, first = codebook.shape[-1], next(iter(queries.values()))
    for name, rows in queries.items():
        if codebook.ndim == 3 and (rows.ndim != 3 or rows.shape[0] != len(codebook) or rows.shape[2] != dim):
            expected = f"({len(codebook)}, N, {dim}): the groups and the width of the codebook"
            raise TensorError(f"{name} have the wrong shape", got=tuple(rows.shape), expected=expected)
        if codebook.ndim == 2 and (rows.ndim < 2 or rows.shape[-1] != dim):
            expected = f"(…, N, {dim}), as wide as the codebook"
            raise TensorError(f"{name} have the wrong shape", got=tuple(rows.shape), expected=expected)
        if rows.shape != first.shape:
            what = f"{' and '.join(queries)} differ in shape"
            raise TensorError(what, got=tuple(rows.shape), expected=tuple(first.shape))
        if rows.device != codebook.device:
            got = f"{rows.device} and {codebook.device}"
            raise TensorError(f"{name} and codebook are on different devices", got=got)
    for name, tensor in {**queries, "codebook": codebook}.items():
        if tensor.dtype not in _FLOATS:
            expected = "float32, float16 or bfloat16"
            raise TensorError(f"{name}: wrong dtype", got=tensor.dtype, expected=expected)
        if finite and tensor.numel() and not bool(torch.stack(torch.aminmax(tensor)).isfinite().all()):
            hint = "Look for a diverged encoder or codebook."
            raise TensorError(f"NaN or infinity in {name}", hint=hint)
