"""The two smallest of ``bias_k + rows_n · codes_k`` in one pass of the tensor cores; the scores never leave the chip.

Each float32 operand is a float16 pair, ``x = high + low`` (``a`` of the rows, ``b`` of the codewords below), scaled by a
power of two per row and one for all codewords so that nothing of weight falls under float16's range. Three products,
``low·high + high·low + high·high``, accumulated in float32, are float32 arithmetic at a third of the float16 rate: twice
what three TF32 products give, which have no more digits. What the process allows elsewhere (TF32, autocast) does not
reach it.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import math
import os

import torch
from torch import Tensor

__all__ = ["available", "error_bound", "two_smallest", "why_unavailable"]

UNIT_ROUNDOFF = 2.0**-24
CHUNK = 64  # terms of a dot product that a tensor core adds up before its sum is rounded into the running one


def available(device: torch.device) -> bool:
    """Whether :func:`two_smallest` runs on tensors of this device."""
    return why_unavailable(device) is None


def why_unavailable(device: torch.device) -> str | None:
    """Why :func:`two_smallest` does not run on this device, as a sentence without its full stop; None where it does.

    It needs an NVIDIA device of compute capability 8.0 (Ampere) and a working Triton, which is tried once per device
    with the smallest kernel; with ``TRITON_INTERPRET=1`` in the environment it needs Triton only, and takes its time.
    """
    interpreted = os.environ.get("TRITON_INTERPRET") == "1"
    if device.type != "cuda" and not interpreted:
        return f"the fused search needs a CUDA device, not {device.type}"
    if importlib.util.find_spec("triton") is None:
        return "the fused search needs Triton, which is not installed"
    if device.type != "cuda":
        return None
    if torch.version.hip is not None:
        return "the fused search is made for NVIDIA's tensor cores"
    return _why_it_fails(torch.cuda.current_device() if device.index is None else device.index)


@functools.cache
def _why_it_fails(index: int) -> str | None:
    major, minor = torch.cuda.get_device_capability(index)
    if major < 8:
        return f"the fused search needs compute capability 8.0, and device {index} has {major}.{minor}"
    try:
        from vqbench.ops.fused_kernels import halve_vectors

        vectors = torch.eye(2, device=f"cuda:{index}")
        with torch.cuda.device(index):
            found = halve_vectors(vectors, vectors.amax(dim=1))[0, :2, :2].tolist()
    except Exception as error:  # a missing C compiler or driver library, an unfit ptxas: Triton has no common class
        return f"Triton does not work on device {index} ({type(error).__name__}: {error})"
    return None if found == [[2.0**14, 0.0], [0.0, 2.0**14]] else f"Triton computes wrong values on device {index}"


def error_bound(dim: int) -> float:
    """Largest error of a score that :func:`two_smallest` returns, relative to ``|a|·max_k |b_k| + max_k |bias_k|``.

    It holds for the float32 inputs as they are (rounding them beforehand comes on top) where no product under- or
    overflows float32: the largest magnitude of a row, and of all codewords, is 0 or at least 2^-110, and the sums of
    products are finite. Let u = 2^-24, D = ``dim``.

    * The pair. ``high`` is x rounded to 11 bits, so that x - high is exact in float32, is at most ``2^-11·|x|`` and has
      13 bits; ``low`` drops at most its last: ``|x - high - low| <= 2u·|x|`` while ``low`` is normal. The largest
      number of a vector is scaled to at least 2^14, so where ``high`` or ``low`` is subnormal the error is below 2^-24,
      and, should a chip take subnormals for zero, below 2^-14: ``2^-28`` of the largest.
    * The product. ``a·b`` less the three products is ``low·low``, at most ``2^-22·|a||b|``, and the two pairs' errors:
      8u together with a second-order remainder, and ``2·√D·2^-28`` for subnormals (Cauchy-Schwarz).
    * The sum. Products of 11-bit numbers are exact in float32. A tensor core adds them in blocks of at least four to the
      running sum: all terms of a block are cut (not rounded) to 24 bits below the largest one's exponent and so is
      their sum, an error of ``(terms + 2)·2u`` of the block's largest magnitude, which ``Σ|products|`` bounds. At most
      C = min(D, 64) products differ from zero in a chunk, in at most ``B = min(C, ⌈C/16⌉·4)`` blocks: ``2u·(C + 2B)``.
      The two small products come first, while the sum is ``2^-10`` of its final size: with every second-order term a
      factor ``1 + 2^-7`` covers them. The ⌈D/64⌉ chunks and the bias are added by rounding: u each.

    The score of the best codeword is computed in plain float32 and better than that.

    Source: Fasi, Higham, Mikaitis, Pranesh, "Numerical behavior of NVIDIA tensor cores", PeerJ CS 7:e330, 2021: exact
    products, alignment to the largest exponent, truncation, on the V100 in blocks of 4. Keeping more bits or adding
    more terms at a time, as later chips do, errs less. NVIDIA documents none of it: it was found by experiment.
    """
    terms = min(dim, CHUNK)
    blocks = min(terms, -(-terms // 16) * 4)
    accumulated = 2 * (terms + 2 * blocks) * (1 + 2**-7)
    subnormals = 2 * math.sqrt(dim) * 2.0**-4
    return (accumulated + -(-dim // CHUNK) + 1 + 8.1 + subnormals) * UNIT_ROUNDOFF


def two_smallest(
    rows: Tensor, codes: Tensor, bias: Tensor, *, parts: int | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """The smallest and second smallest ``bias_k + rows_n · codes_k`` of each row, and the codeword of the smallest.

    Of equal scores the lowest index is taken. A row with NaN or infinity gets some index in ``[0, K)``. With K = 1 the
    second smallest is infinity. Scores err by no more than :func:`error_bound` says.

    Beyond the results it takes up to 80 MB, and 4 bytes for each number of the codewords. The first search of a size in
    a process compiles and times a few tilings, which takes seconds and, meanwhile, the memory of Triton's timer.

    Args:
        rows: ``(N, D)`` float32, on a device for which :func:`available` holds; N up to 2^24, D up to 1024.
        codes: ``(K, D)`` float32, K from 1 to 2^18.
        bias: ``(K,)`` float32.
        parts: into how many parts, at most, the codewords are split for programs side by side; by default what
            fills the device. Changes the result by no more than rounding.

    Returns:
        best ``(N,)`` float32, runner_up ``(N,)`` float32, index ``(N,)`` int64.
    """
    from vqbench.ops import fused_kernels  # needs Triton

    best, runner_up = torch.empty(2, len(rows), dtype=torch.float32, device=rows.device)
    index = torch.empty(len(rows), dtype=torch.int64, device=rows.device)
    with torch.cuda.device(rows.device) if rows.is_cuda else contextlib.nullcontext():
        words = fused_kernels.Words(codes, bias)
        for start in range(0, len(rows), words.most_rows):
            block = slice(start, start + words.most_rows)
            words.search(rows[block], best[block], runner_up[block], index[block], parts)
    return best, runner_up, index
