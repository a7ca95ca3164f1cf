"""First pass of a search on CPUs: scores that stay in the cache, all cores busy.

Few columns: products, sums and minima in one compiled loop. More: tiles of scores from torch's matrix product, and a
compiled loop over a tile while it is in the cache. Where the processor multiplies
bfloat16 faster than float32, those scores are in bfloat16, as long as few codewords come near enough to the smallest
score to be looked at again.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from vqbench.ops.affine import OPERAND_ERROR, AffineSearch, undecided
from vqbench.ops.compiled import FUSED_WIDTH, pick_from_panels, pick_from_scores
from vqbench.ops.halves import Halves, multiplies_bfloat16
from vqbench.ops.threads import share_out

__all__ = ["first_pass"]

TILE_ROWS, TILE_COLUMNS = 2048, 1024  # 8 MB of scores
TILE_NUMBERS = 1 << 21  # of scores, or of rows
PART = 128  # rows that are worth a thread
PANEL_ROWS, LANES = 64, 64
FILL = 16  # what a lane holds is a multiple of this many codewords
HALF_WIDTH = 48  # columns from which bfloat16 pays
HALF_LOOKS = 1 / 64  # part of the codewords that may be looked at again before bfloat16 is given up


def first_pass(search: AffineSearch) -> tuple[Tensor, Tensor]:
    """Each row's codeword ``(N,)`` int64, and the rows ``(P,)`` int64 where rounding leaves the choice open."""
    _ = search.longest, search.largest_bias  # made once, before the threads ask for them
    nearest, is_open = torch.zeros(len(search.rows), dtype=torch.int64), torch.zeros(len(search.rows), dtype=torch.bool)
    if search.width <= FUSED_WIDTH:
        few_columns(search, nearest, is_open)
    else:
        many_columns(search, nearest, is_open)
    return nearest, is_open.nonzero().squeeze(1)


class Found:
    """What a compiled loop has found for some rows: the smallest score, the next of those looked at, the codeword."""

    def __init__(self, rows: int) -> None:
        self.best = torch.full((rows,), torch.inf, dtype=torch.float64)
        self.second = self.best.clone()
        self.index = torch.zeros(rows, dtype=torch.int64)

    def pick(
        self, scores: Tensor, first: int, rows: Tensor, codes: Tensor, bias: Tensor, doubt: Tensor, relative: float
    ) -> int:
        """Go through a tile of scores, see ``pick_from_scores``; how many codewords were looked at."""
        numbers = scores.numpy() if scores.dtype == torch.float32 else scores.view(torch.uint16).numpy()
        by_row = [numbers, *(part.numpy() for part in (rows, doubt, self.best, self.second, self.index))]
        words, constants = codes.numpy(), bias.numpy()
        looks: list[int] = []  # appending is safe among threads

        def work(here: slice) -> None:
            tile, x, slack, *results = (part[here] for part in by_row)
            looks.append(pick_from_scores(tile, first, x, words, constants, slack, relative, *results))

        share_out(work, len(rows), part=PART)
        return sum(looks)


def few_columns(search: AffineSearch, nearest: Tensor, is_open: Tensor) -> None:
    """Fill in ``nearest`` and ``is_open``; no score is ever stored."""
    width = FUSED_WIDTH // 2 if search.width <= FUSED_WIDTH // 2 else FUSED_WIDTH
    blocks = 2 * -(-len(search.codes) // (2 * LANES))
    missing = blocks * LANES - len(search.codes)
    dealt = pad(search.codes, (0, width - search.width, 0, missing)).view(blocks, LANES, width)
    dealt_bias = pad(search.bias, (0, missing), value=torch.inf).view(blocks, LANES)
    by_block = dealt.transpose(1, 2).contiguous().numpy(), dealt_bias.numpy()
    spare = -blocks % FILL
    lane_codes, lane_bias = pad(dealt.permute(1, 2, 0), (0, spare)), pad(dealt_bias.T, (0, spare), value=torch.inf)
    by_lane = lane_codes.contiguous().numpy(), lane_bias.contiguous().numpy()

    bounds = search.longest, search.largest_bias, search.error, OPERAND_ERROR
    rows = (pad(search.rows, (0, width - search.width)) if width > search.width else search.rows).numpy()
    index, open_ones = nearest.numpy(), is_open.numpy()

    def work(here: slice) -> None:
        pick_from_panels(rows[here], *by_block, *by_lane, *bounds, PANEL_ROWS, index[here], open_ones[here])

    share_out(work, len(rows), part=PANEL_ROWS)


def many_columns(search: AffineSearch, nearest: Tensor, is_open: Tensor) -> None:
    """Fill in ``nearest`` and ``is_open`` from tiles of scores."""
    columns = min(len(search.codes), TILE_COLUMNS)
    height = max(min(TILE_ROWS, TILE_NUMBERS // max(columns, search.width)), 1)
    halves = Halves(search) if search.width >= HALF_WIDTH and multiplies_bfloat16() else None
    # a column more in the product is cheaper than another pass over the scores
    words = torch.cat([search.codes, search.bias[:, None]], dim=1)
    buffer, looks = torch.empty(min(height, len(search.rows)) * columns), 0
    for top in range(0, len(search.rows), height):
        here = slice(top, min(top + height, len(search.rows)))
        rows = search.rows[here]
        reach, found = search.reach(rows), Found(len(rows))
        doubt, relative = 2 * search.error * reach, 0.0
        if halves is not None and looks <= HALF_LOOKS * len(search.codes) * top:
            left, doubt = halves.rows(rows, doubt)
            right, into, relative = halves.codes, buffer.view(torch.bfloat16), Halves.RELATIVE
        else:
            left, right, into = torch.cat([rows, rows.new_ones(len(rows), 1)], dim=1), words, buffer
        for tile in search.tiles(columns):
            codes, bias = search.codes[tile], search.bias[tile]
            size = len(rows) * len(codes)
            scores = torch.mm(left, right[tile].T, out=into[:size].view(len(rows), len(codes)))
            looks += found.pick(scores, tile.start, rows, codes, bias, doubt, relative)
        nearest[here], is_open[here] = found.index, undecided(found.second - found.best, reach, OPERAND_ERROR)
