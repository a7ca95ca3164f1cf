"""The Triton kernels of the fused codeword search and their launch; only ``vqbench.ops.fused`` imports this.

``halve`` writes float32 vectors as sums of two float16 numbers, ``scan`` multiplies them on the tensor cores and keeps
the smallest scores of each row, ``settle`` merges what several programs found for one row and names the winner.

Keeping the best, the runner-up and an index of every single score would cost more than the products. So ``scan`` reduces
the scores of eight codewords at a time to their minimum, keeps the smallest and second smallest of those minima, and
``settle`` scores the eight codewords of the winning group once more, in plain float32. A group is what one thread holds
of the product of a row with 64 codewords, so that no two threads need to talk: in the accumulator layout of the tensor
cores the columns ``16·j + 2·g + {0, 1}``, j < 4, of group g < 8. Where a chip lays them out otherwise, only speed changes.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from vqbench.ops.fused import CHUNK

__all__ = ["Words", "halve_vectors"]

HALVES_BYTES = 1 << 26  # of the rows' float16 pairs held at a time
PROGRAMS_PER_PROCESSOR = 8  # even out the load; where rows are fewer, the codewords are split into parts
MULTIPLE = 256  # of rows and of codewords: what the tiles of scan divide

SMALL = 1 << 26  # scores, not worth the seconds that timing the tilings takes

TILINGS = [
    triton.Config({"TILE_ROWS": rows, "TILE_CODES": codes}, num_warps=warps, num_stages=stages)
    for rows, codes, warps, stages in (
        (64, 64, 4, 2),  # fits the shared memory of any chip
        (64, 128, 4, 2),
        (128, 64, 4, 3),
        (128, 128, 4, 3),
        (128, 128, 8, 3),
        (256, 64, 8, 3),
        (256, 128, 8, 3),
    )
]


def _worth_timing(tilings: list[triton.Config], arguments: dict[str, Any], **constants: Any) -> list[triton.Config]:
    if arguments["rows"] * arguments["codes"] <= SMALL:
        return tilings[:1]
    if constants["WIDTH"] == constants["CHUNK"]:
        return tilings
    # a second set of accumulators holds the running sums
    return [t for t in tilings if t.kwargs["TILE_ROWS"] * t.kwargs["TILE_CODES"] <= 2048 * t.num_warps]


@triton.jit
def _exponent(largest: tl.tensor) -> tl.tensor:
    """Biased exponent of a magnitude, at least 15, so that both powers of two below are normal numbers."""
    return tl.maximum((largest.to(tl.int32, bitcast=True) >> 23) & 255, 15)


@triton.jit
def _scale(largest: tl.tensor) -> tl.tensor:
    """The power of two that brings ``largest`` into [2^14, 2^15), where float16 ends at 65504."""
    return ((268 - _exponent(largest)) << 23).to(tl.float32, bitcast=True)


@triton.jit
def _unscale(largest: tl.tensor) -> tl.tensor:
    """``1 / _scale(largest)``."""
    return ((_exponent(largest) - 14) << 23).to(tl.float32, bitcast=True)


@triton.jit(do_not_specialize=["count", "dim"])
def halve(
    vectors: tl.tensor,
    stride: tl.tensor,
    step: tl.tensor,
    largest: tl.tensor,
    largest_stride: tl.tensor,
    high: tl.tensor,
    low: tl.tensor,
    count: tl.tensor,
    dim: tl.tensor,
    WIDTH: tl.constexpr,
    TILE: tl.constexpr,
    CHUNK: tl.constexpr,
) -> None:
    """``vectors·_scale(largest) = high + low`` up to 22 bits; zeros beyond ``count`` vectors and ``dim`` numbers."""
    row = tl.program_id(0) * TILE + tl.arange(0, TILE)
    column = tl.program_id(1) * CHUNK + tl.arange(0, CHUNK)
    live = row < count
    at = row.to(tl.int64)[:, None] * stride + column.to(tl.int64)[None, :] * step
    value = tl.load(vectors + at, mask=live[:, None] & (column < dim)[None, :], other=0.0)
    value *= _scale(tl.load(largest + row * largest_stride, mask=live, other=0.0))[:, None]
    upper = value.to(tl.float16)
    to = row[:, None] * WIDTH + column[None, :]
    tl.store(high + to, upper)
    tl.store(low + to, (value - upper.to(tl.float32)).to(tl.float16))


@triton.jit
def _products(row_high: tl.tensor, row_low: tl.tensor, code_high: tl.tensor, code_low: tl.tensor) -> tl.tensor:
    """Rows times codewords but for ``low·low``; the small products first, so that they lose little to rounding."""
    scores = tl.dot(row_low, code_high.T)
    scores = tl.dot(row_high, code_low.T, scores)
    return tl.dot(row_high, code_high.T, scores)


@triton.autotune(
    TILINGS[:1] if triton.knobs.runtime.interpret else TILINGS,  # the interpreter has no clock
    key=["WIDTH", "rows_order", "codes_order"],
    prune_configs_by={"early_config_prune": _worth_timing},
)
@triton.jit(do_not_specialize=["rows", "codes", "rows_order", "codes_order"])
def scan(
    row_high: tl.tensor,
    row_low: tl.tensor,
    row_largest: tl.tensor,
    rows: tl.tensor,
    rows_padded: tl.tensor,
    code_high: tl.tensor,
    code_low: tl.tensor,
    code_largest: tl.tensor,
    bias: tl.tensor,
    codes: tl.tensor,
    part: tl.tensor,
    part_best: tl.tensor,
    part_second: tl.tensor,
    part_group: tl.tensor,
    rows_order: tl.tensor,
    codes_order: tl.tensor,
    WIDTH: tl.constexpr,
    CHUNK: tl.constexpr,
    TILE_ROWS: tl.constexpr,
    TILE_CODES: tl.constexpr,
) -> None:
    """Per row and part of ``part`` codewords: smallest and second smallest group minimum, and the group of the smallest.

    ``rows_order`` and ``codes_order`` only tell the autotuner which problems are of a size.
    """
    row = tl.program_id(0) * TILE_ROWS + tl.arange(0, TILE_ROWS)
    unscale = _unscale(tl.load(row_largest + row, mask=row < rows, other=0.0)) * _unscale(tl.load(code_largest))
    column = tl.arange(0, CHUNK)
    row_at = row[:, None] * WIDTH + column[None, :]
    code = tl.arange(0, TILE_CODES)
    code_at = code[:, None] * WIDTH + column[None, :]
    if WIDTH == CHUNK:
        rows_high = tl.load(row_high + row_at)
        rows_low = tl.load(row_low + row_at)
    SPANS: tl.constexpr = TILE_CODES // 64
    best = tl.full((TILE_ROWS, SPANS, 8), float("inf"), tl.float32)
    second = tl.full((TILE_ROWS, SPANS, 8), float("inf"), tl.float32)
    place = tl.zeros((TILE_ROWS, SPANS, 8), tl.int32)
    begin = tl.program_id(1) * part
    for start in tl.range(begin, tl.minimum(begin + part, codes), TILE_CODES):
        high, low = code_high + start * WIDTH + code_at, code_low + start * WIDTH + code_at
        if WIDTH == CHUNK:
            scores = _products(rows_high, rows_low, tl.load(high), tl.load(low))
        else:
            scores = tl.zeros((TILE_ROWS, TILE_CODES), tl.float32)
            for offset in tl.range(0, WIDTH, CHUNK):
                scores += _products(
                    tl.load(row_high + offset + row_at),
                    tl.load(row_low + offset + row_at),
                    tl.load(high + offset),
                    tl.load(low + offset),
                )
        offsets = tl.load(bias + start + code)
        scores = scores * unscale[:, None] + offsets[None, :]
        groups = tl.min(tl.min(tl.reshape(scores, (TILE_ROWS, SPANS, 4, 8, 2)), axis=4), axis=2)
        second = tl.minimum(second, tl.maximum(best, groups))
        place = tl.where(groups < best, start, place)
        best = tl.minimum(best, groups)
    group = place // 8 + (tl.arange(0, SPANS)[:, None] * 8 + tl.arange(0, 8)[None, :])[None, :, :]
    best = tl.reshape(best, (TILE_ROWS, SPANS * 8))
    second = tl.reshape(second, (TILE_ROWS, SPANS * 8))
    group = tl.reshape(group, (TILE_ROWS, SPANS * 8))
    least = tl.min(best, axis=1)
    winner = tl.min(tl.where(best == least[:, None], group, 2147483647), axis=1)
    to = tl.program_id(1) * rows_padded + row
    tl.store(part_best + to, least)
    tl.store(part_second + to, tl.min(tl.where(group == winner[:, None], second, best), axis=1))
    tl.store(part_group + to, winner)


@triton.jit(do_not_specialize=["count", "code_count", "dim", "parts"])
def settle(
    rows: tl.tensor,
    row_stride: tl.tensor,
    row_step: tl.tensor,
    count: tl.tensor,
    codes: tl.tensor,
    code_stride: tl.tensor,
    code_step: tl.tensor,
    bias: tl.tensor,
    code_count: tl.tensor,
    dim: tl.tensor,
    parts: tl.tensor,
    rows_padded: tl.tensor,
    part_best: tl.tensor,
    part_second: tl.tensor,
    part_group: tl.tensor,
    best: tl.tensor,
    runner_up: tl.tensor,
    index: tl.tensor,
    TILE: tl.constexpr,
    CHUNK: tl.constexpr,
) -> None:
    """Merge the parts of each row and score the winning group's codewords in float32; the lowest index wins a tie."""
    row = tl.program_id(0) * TILE + tl.arange(0, TILE)
    live = row < count
    least = tl.full((TILE,), float("inf"), tl.float32)
    second = tl.full((TILE,), float("inf"), tl.float32)
    group = tl.zeros((TILE,), tl.int32)
    for part in range(parts):
        at = part * rows_padded + row
        smallest = tl.load(part_best + at, mask=live, other=0.0)
        runner = tl.load(part_second + at, mask=live, other=0.0)
        second = tl.minimum(tl.minimum(second, runner), tl.maximum(least, smallest))
        group = tl.where(smallest < least, tl.load(part_group + at, mask=live, other=0), group)
        least = tl.minimum(least, smallest)
    member = tl.arange(0, 8)
    code = ((group // 8) * 64 + (group % 8) * 2)[:, None] + ((member // 2) * 16 + member % 2)[None, :]
    inside = code < code_count
    column = tl.arange(0, CHUNK).to(tl.int64)
    row_at = row.to(tl.int64)[:, None] * row_stride
    score = tl.zeros((TILE, 8), tl.float32)
    for offset in range(0, dim, CHUNK):
        here = column + offset < dim
        numbers = tl.load(
            rows + row_at + (column + offset)[None, :] * row_step, mask=live[:, None] & here[None, :], other=0.0
        )
        code_at = code.to(tl.int64)[:, :, None] * code_stride + (column + offset)[None, None, :] * code_step
        words = tl.load(codes + code_at, mask=inside[:, :, None] & here[None, None, :], other=0.0)
        score += tl.sum(numbers[:, None, :] * words, axis=2)
    score = tl.where(inside, score + tl.load(bias + code, mask=inside, other=0.0), float("inf"))
    smallest = tl.min(score, axis=1)
    first = tl.min(tl.where(score == smallest[:, None], code, 2147483647), axis=1)
    first = tl.where(first < code_count, first, tl.min(code, axis=1))  # NaN equals nothing
    others = tl.min(tl.where(code == first[:, None], float("inf"), score), axis=1)
    tl.store(best + row, smallest, mask=live)
    tl.store(runner_up + row, tl.minimum(second, others), mask=live)
    tl.store(index + row, first.to(tl.int64), mask=live)


class Words:
    """The codewords of a search as the kernels want them: halves and bias padded to whole tiles."""

    def __init__(self, codes: Tensor, bias: Tensor) -> None:
        self.codes = codes
        self.largest = torch.linalg.vector_norm(codes, ord=torch.inf)
        self.halves = halve_vectors(codes, self.largest.expand(len(codes)))
        self.bias = bias.new_full((self.halves.shape[1],), torch.inf)  # what is not there never wins
        self.bias[: len(bias)] = bias
        self.most_rows = HALVES_BYTES // (4 * self.halves.shape[2])

    def search(self, rows: Tensor, best: Tensor, runner_up: Tensor, index: Tensor, parts: int | None) -> None:
        """Fill ``best``, ``runner_up`` and ``index`` of at most ``most_rows`` rows."""
        largest = torch.linalg.vector_norm(rows, ord=torch.inf, dim=1)
        halves = halve_vectors(rows, largest)
        _, height, width = halves.shape
        tiles = len(self.bias) // MULTIPLE
        if parts is None:
            parts = min(triton.cdiv(_programs(rows.device) * MULTIPLE, height), triton.cdiv(tiles, 2))
        part = triton.cdiv(tiles, parts) * MULTIPLE
        parts = triton.cdiv(len(self.bias), part)
        scores = rows.new_empty(2, parts, height)
        groups = torch.empty(parts, height, dtype=torch.int32, device=rows.device)
        scan[lambda tile: (triton.cdiv(len(rows), tile["TILE_ROWS"]), parts)](
            *halves, largest, len(rows), height, *self.halves, self.largest, self.bias, len(self.codes), part,
            *scores, groups, _order(height), _order(len(self.bias)),
            WIDTH=width, CHUNK=min(width, CHUNK), enable_fp_fusion=True,
        )  # fmt: skip
        settle[(triton.cdiv(len(rows), 32),)](
            rows, *rows.stride(), len(rows), self.codes, *self.codes.stride(), self.bias, len(self.codes),
            rows.shape[1], parts, height, *scores, groups, best, runner_up, index,
            TILE=32, CHUNK=min(width, 32), enable_fp_fusion=True,
        )  # fmt: skip


def halve_vectors(vectors: Tensor, largest: Tensor) -> Tensor:
    """High and low halves ``(2, n, width)`` float16 of ``(N, D)`` vectors; zeros fill n and width up to whole tiles.

    ``largest`` ``(N,)`` float32 is the magnitude that decides each vector's scale.
    """
    count, dim = vectors.shape
    width = 16 if dim <= 16 else 32 if dim <= 32 else triton.cdiv(dim, CHUNK) * CHUNK
    halves = torch.empty(2, triton.cdiv(count, MULTIPLE) * MULTIPLE, width, dtype=torch.float16, device=vectors.device)
    chunk = min(width, CHUNK)
    halve[(halves.shape[1] // 64, width // chunk)](
        vectors, *vectors.stride(), largest, largest.stride(0), *halves, count, dim,
        WIDTH=width, TILE=64, CHUNK=chunk, enable_fp_fusion=True,
    )  # fmt: skip
    return halves


def _order(count: int) -> int:
    """What is of a size for the autotuner: all counts between two powers of four."""
    return (count.bit_length() + 1) // 2


def _programs(device: torch.device) -> int:
    """How many tiles of rows are enough to fill the device."""
    if device.type != "cuda":
        return 1
    return PROGRAMS_PER_PROCESSOR * torch.cuda.get_device_properties(device).multi_processor_count
