"""Compiled loops over scores, for CPUs: each passes once over numbers that lie in the cache.

Numba compiles them on first use and keeps the machine code beside this file (or in the user's cache folder). They hold
no lock of Python's, so threads run them side by side.

All look for the smallest score of a row and for every other score that rounding could have put in its place. Codewords
are dealt to *lanes*: lane l holds the codewords l, l + L, l + 2L, … Only the smallest score of each lane is kept while
passing over the codewords, which is one instruction a vector of them; what a lane holds is looked at again where its
smallest score is small enough to matter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numba
import numpy as np
from numpy.typing import NDArray

from vqbench.ops.vectors import VECTOR, first_of, low_codes, low_lanes, lower_4, lower_8, lower_by, number_at, smallest

__all__ = ["FUSED_WIDTH", "pick_from_panels", "pick_from_scores"]

Floats = NDArray[np.float32]

FUSED_WIDTH = 8
"""Most columns that ``pick_from_panels`` takes."""

# products may be fused with sums; NaN is not looked for, and which index a row with NaN gets is not defined
_FAST = {"contract", "reassoc", "nnan", "nsz"}


_Function = TypeVar("_Function", bound=Callable[..., object])


def _compile(**options: object) -> Callable[[_Function], _Function]:
    decorator: Callable[[_Function], _Function] = numba.njit(nogil=True, fastmath=_FAST, **options)
    return decorator


@_compile(inline="always")
def _score(row: Floats, code: Floats, bias: np.float32) -> float:
    score = np.float64(bias)
    for i in range(len(row)):
        score += np.float64(row[i]) * np.float64(code[i])
    return score


@_compile(cache=True)
def pick_from_panels(
    rows: Floats,
    panels: Floats,
    panel_bias: Floats,
    lane_codes: Floats,
    lane_bias: Floats,
    longest: float,
    largest_bias: float,
    error: float,
    operand_error: float,
    height: int,
    index: NDArray[np.int64],
    is_open: NDArray[np.bool_],
) -> None:
    """Score all pairs of few columns and pick, without ever storing a score.

    Args:
        rows: ``(N, W)`` with W 4 or 8, like all arrays contiguous.
        panels: ``(B, W, L)``, the codewords dealt to L lanes (a multiple of 16), B even.
        panel_bias: ``(B, L)``, inf where no codeword is.
        lane_codes: ``(L, W, C)``, the same by lane; C is a multiple of 16 and at least B.
        lane_bias: ``(L, C)``, inf where no codeword is.
        longest: length of the longest codeword; ``largest_bias``: the largest absolute bias.
        error: of a float32 score relative to |row| |code| + |bias|; ``operand_error``: the part of it that float64 does
            not remove.
        height: rows at a time.
        index: ``(N,)``, receives the lowest codeword with the smallest score.
        is_open: ``(N,)``, receives whether another codeword is too near to that for rounded operands to tell. A row of
            zeros with biases of zero has exact scores, one with infinity or NaN none: neither is open.
    """
    blocks, width, lanes = panels.shape
    low = np.empty((height, lanes), np.float32)
    for start in range(0, len(rows), height):
        stop = min(start + height, len(rows))
        low[:] = np.inf
        for block in range(0, blocks, 2):
            pair, constants = panels[block : block + 2], panel_bias[block : block + 2]
            if width == 4:
                lower_4(rows[start:stop], pair, constants, low)
            else:
                lower_8(rows[start:stop], pair, constants, low)
        for row in range(start, stop):
            square = 0.0
            for column in range(width):
                square += np.float64(rows[row, column]) * np.float64(rows[row, column])
            reach = np.sqrt(square) * longest + largest_bias
            lane_low = low[row - start]
            limit = np.float32(smallest(lane_low) + 2 * error * reach)
            best, second, winner = np.inf, np.inf, 0
            for first_lane in range(0, lanes, VECTOR):
                lanes_left = low_lanes(lane_low, first_lane, limit)
                while lanes_left:
                    lane = first_lane + first_of(lanes_left)
                    lanes_left &= lanes_left - 1
                    codes, biases = lane_codes[lane], lane_bias[lane]
                    for first_block in range(0, len(biases), VECTOR):
                        blocks_left = low_codes(rows[row], codes, biases, first_block, limit)
                        while blocks_left:
                            block = first_block + first_of(blocks_left)
                            blocks_left &= blocks_left - 1
                            score = np.float64(biases[block])
                            for column in range(width):
                                score += np.float64(rows[row, column]) * np.float64(codes[column, block])
                            code = block * lanes + lane
                            if score < best or (score == best and code < winner):
                                second, best, winner = best, score, code
                            elif score < second:
                                second = score
            index[row] = winner
            is_open[row] = second - best <= 2 * operand_error * reach and 0 < reach < np.inf


@_compile(cache=True)
def pick_from_scores(
    scores: Floats | NDArray[np.uint16],
    first: int,
    rows: Floats,
    codes: Floats,
    bias: Floats,
    doubt: Floats,
    relative: float,
    best: NDArray[np.float64],
    second: NDArray[np.float64],
    index: NDArray[np.int64],
) -> int:
    """Pick from a tile of scores, after those of earlier tiles of the same rows; how many codewords were looked at.

    Args:
        scores: ``(R, C)`` of the codewords ``first`` to ``first + C``; float32, or uint16, which are bfloat16.
        rows: ``(R, D)``; ``codes``: ``(C, D)``; ``bias``: ``(C,)``: what the scores were made from, to make them better.
        doubt: ``(R,)``, how far apart two scores of a row must be for their order to be certain, beside the part
            ``relative`` of themselves.
        best: ``(R,)``, the smallest score so far, in float64 (inf at first); ``second``: the next of the codewords
            looked at; ``index``: the lowest codeword with the smallest score. All three are updated.
    """
    lanes = 64
    width = scores.shape[1]
    whole = width // lanes * lanes
    low = np.empty(lanes, np.float32)
    looks = 0
    for row in range(len(scores)):
        line = scores[row]
        low[:] = np.inf
        lower_by(line, whole, low)
        for column in range(whole, width):
            low[column % lanes] = min(low[column % lanes], number_at(line, column))
        least = min(np.float64(smallest(low)), best[row])
        limit = np.float32(least + doubt[row] + relative * abs(least))
        for first_lane in range(0, lanes, VECTOR):
            lanes_left = low_lanes(low, first_lane, limit)
            while lanes_left:
                lane = first_lane + first_of(lanes_left)
                lanes_left &= lanes_left - 1
                for column in range(lane, width, lanes):
                    if number_at(line, column) <= limit:
                        looks += 1
                        code = first + column
                        score = _score(rows[row], codes[column], bias[column])
                        if score < best[row] or (score == best[row] and code < index[row]):
                            second[row], best[row], index[row] = best[row], score, code
                        elif score < second[row]:
                            second[row] = score
    return looks
