"""The whole search: a first pass that suits the device, then float64 for the rows that it leaves open."""

from __future__ import annotations

from torch import Tensor

from vqbench.ops import cpu, cuda, tiled
from vqbench.ops.affine import AffineSearch
from vqbench.ops.precision import true_float32

__all__ = ["argmin_affine"]


def argmin_affine(search: AffineSearch) -> Tensor:
    """Index of the smallest ``bias_k + rows_n · codes_k`` for each row, the lowest one on ties: int64 ``(N,)``."""
    first_pass = {"cpu": cpu.first_pass, "cuda": cuda.first_pass}.get(search.device.type, tiled.first_pass)
    with true_float32(search.device):
        nearest, open_rows = first_pass(search)
        if len(open_rows):
            nearest[open_rows] = search.decide(open_rows, nearest[open_rows])
    return nearest
