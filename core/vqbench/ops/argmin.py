"""The whole search: a first pass that suits the device, then float64 for the rows that it leaves open."""

from __future__ import annotations

from torch import Tensor

from vqbench.ops import cpu, cuda, tiled
from vqbench.ops.affine import AffineSearch, ExactScore

__all__ = ["argmin_affine"]


def argmin_affine(rows: Tensor, codes: Tensor, bias: Tensor, exact: ExactScore) -> Tensor:
    """Index of the smallest ``bias_k + rows_n · codes_k`` for each row, the lowest one on ties: int64 ``(N,)``.

    To be called in :func:`~vqbench.ops.precision.true_float32`.

    Args:
        rows: ``(N, D)`` float32, each entry within one rounding of its true value.
        codes: ``(K, D)`` float32, likewise.
        bias: ``(K,)`` float32, likewise.
        exact: decides between codewords whose scores are closer than float32 can tell.
    """
    # detached: threads of the first pass do not know that no gradient is wanted
    rows, codes, bias = (operand.detach().contiguous() for operand in (rows, codes, bias))
    search = AffineSearch(rows=rows, codes=codes, bias=bias, exact=exact)
    first_pass = {"cpu": cpu.first_pass, "cuda": cuda.first_pass}.get(rows.device.type, tiled.first_pass)
    nearest, open_rows = first_pass(search)
    if len(open_rows):
        nearest[open_rows] = search.decide(open_rows, nearest[open_rows])
    return nearest
