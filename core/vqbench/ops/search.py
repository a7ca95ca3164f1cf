"""A search of any number of queries in a codebook of any size: in blocks of rows and tiles of codewords.

Codewords of different tiles are compared in float64, like those which float32 cannot tell apart: neither blocks nor
tiles change the result.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from vqbench.ops.scores import Score

__all__ = ["blocks", "find", "scores_of"]

BLOCK_NUMBERS = {"cpu": 1 << 20, "cuda": 1 << 23}  # of a query; scores make up to 32 bytes of each: 32 and 256 MB
LEAST_WIDTH = 8  # what the narrowest rows count as: the search for scalars makes more of each
TILE_NUMBERS = {"cpu": 1 << 20, "cuda": 1 << 25}  # of a codebook; scores make up to 16 bytes of each: 16 and 512 MB


def blocks(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Rows ``(n, d)`` of tensors ``(…, d)`` of equal shape but for d, in order: float32, at most a block at a time.

    A tensor that does not lie in memory row by row is copied a block at a time, not whole.
    """
    lead, width = tensors[0].shape[:-1], max(tensors[0].shape[-1], LEAST_WIDTH)
    most = max(_limit(BLOCK_NUMBERS, tensors[0]) // width, 1)
    inner = math.prod(lead[1:])
    if lead[0] * inner <= most:
        if lead[0] * inner:
            yield tuple(tensor.reshape(-1, tensor.shape[-1]).float() for tensor in tensors)
    elif lead[0] == 1:
        yield from blocks(*(tensor[0] for tensor in tensors))
    else:
        count = math.ceil(lead[0] / max(most // inner, 1))  # of parts, about equal
        for parts in zip(*(torch.split(tensor, math.ceil(lead[0] / count)) for tensor in tensors), strict=True):
            yield from blocks(*parts)


def find(score: Score, queries: Sequence[Tensor], codebook: Tensor) -> Tensor:
    """Indices of the best codewords, int64 ``(…)``, for queries ``(…, d)``; or group by group.

    Args:
        score: what orders the codewords.
        queries: ``(…, d)``, or ``(G, N, d)``.
        codebook: ``(K, d)``, or ``(G, K, d)``.
    """
    indices = torch.zeros(queries[0].shape[:-1], dtype=torch.int64, device=codebook.device)
    if codebook.ndim == 2:
        _fill(indices.view(-1), score, queries, codebook)
    else:
        for group, words in enumerate(codebook):
            _fill(indices[group], score, [query[group] for query in queries], words)
    return indices


def _fill(indices: Tensor, score: Score, queries: Sequence[Tensor], codebook: Tensor) -> None:
    size = max(_limit(TILE_NUMBERS, codebook) // codebook.shape[1], 1)
    for start in range(0, len(codebook), size):
        words = codebook[start : start + size].float()
        nearest = score.over(words)
        row = 0
        for block in blocks(*queries):
            here = indices[row : row + len(block[0])]
            row += len(here)
            found = nearest(*block)
            if start:  # against the best of the tiles before, which wins ties
                found = torch.where(_closer(score, words, found, codebook, here, block), found + start, here)
            here.copy_(found)


def _closer(
    score: Score, words: Tensor, found: Tensor, codebook: Tensor, best: Tensor, queries: Sequence[Tensor]
) -> Tensor:
    """Which queries are nearer to ``words[found]`` than to ``codebook[best]``; float64, so a few of them at a time."""
    size = max(_limit(BLOCK_NUMBERS, codebook) // 8 // codebook.shape[1], 1)
    parts = zip(*(torch.split(tensor, size) for tensor in (found, best, *queries)), strict=True)
    return torch.cat(
        [score.energy(words[one], *part) < score.energy(codebook[other].float(), *part) for one, other, *part in parts]
    )


def scores_of(score: Score, queries: Sequence[Tensor], codewords: Tensor) -> Tensor:
    """The scores of queries ``(…, d)``, each with its codeword ``(…, d)``: float32 ``(…)``."""
    parts = [score.value(*block).float() for block in blocks(codewords, *queries)]
    return torch.cat(parts or [codewords.new_zeros(0, dtype=torch.float32)]).view(codewords.shape[:-1])


def _limit(table: dict[str, int], tensor: Tensor) -> int:
    return table.get(tensor.device.type, table["cpu"])
