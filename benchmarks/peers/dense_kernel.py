"""The dense way of GQ's search on a GPU: a kernel writes all N×K scores, then torch takes the largest of each row.

It does what the extension released with Gaussian Quantization (arXiv 2512.06609) does, one division per row, codeword
and dimension included.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

__all__ = ["dense_gaussian_scores"]

TILE_ROWS, TILE_WORDS = 16, 128


@triton.jit
def _write_scores(
    means, deviations, words, scores, rows, codewords, DIM: tl.constexpr, ROWS: tl.constexpr, WORDS: tl.constexpr
):
    row = tl.program_id(1).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    word = tl.program_id(0) * WORDS + tl.arange(0, WORDS)
    is_row, is_word = row < rows, word < codewords
    score = tl.zeros((ROWS, WORDS), dtype=tl.float32)
    for i in range(DIM):
        mean = tl.load(means + row * DIM + i, mask=is_row, other=0.0)
        deviation = tl.load(deviations + row * DIM + i, mask=is_row, other=1.0)
        value = tl.load(words + word * DIM + i, mask=is_word, other=0.0)
        off = (value[None, :] - mean[:, None]) / deviation[:, None]
        score += (value * value)[None, :] - off * off
    target = scores + row[:, None] * codewords + word[None, :]
    tl.store(target, score, mask=is_row[:, None] & is_word[None, :])


def dense_gaussian_scores(means: Tensor, deviations: Tensor, words: Tensor) -> Tensor:
    """Scores ``Σ_i c_i² - (c_i - μ_i)²/σ_i²`` ``(N, K)`` of rows ``(N, m)`` and codewords ``(K, m)``, float32."""
    scores = torch.empty(len(means), len(words), device=means.device)
    grid = (triton.cdiv(len(words), TILE_WORDS), triton.cdiv(len(means), TILE_ROWS))
    _write_scores[grid](
        means, deviations, words, scores, len(means), len(words), DIM=means.shape[1], ROWS=TILE_ROWS, WORDS=TILE_WORDS
    )
    return scores
