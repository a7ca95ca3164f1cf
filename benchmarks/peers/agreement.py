"""Whether answers are right: each code against the best one in float64."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from benchmarks.peers.cases import Case, Inputs

__all__ = ["Agreement", "check_codes", "gradient_difference"]

PAIRS = 1 << 28
"""(row, codeword) pairs that are scored in float64: of larger cases, rows in even steps are checked."""
CHUNK_PAIRS = 1 << 22
ROUNDOFF = 2.0**-24
FSQ_MARGIN = 1e-5
"""Relative to the levels: how near a rounding boundary float32's tanh may go to the other side."""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How codes compare with those of float64.

    Attributes:
        checked: rows that were compared, each with all its tokens.
        differ: tokens with another code.
        wrong: those of them whose score is worse than the best by more than float32 rounding can explain.
    """

    checked: int
    differ: int
    wrong: int

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class _Scores:
    """Scores ``bias_k + rows_n · words_k`` in float64, smaller is better, and what rounding may change them by."""

    rows: Tensor
    words: Tensor
    bias: Tensor
    rounding: Tensor

    def best(self) -> tuple[Tensor, Tensor]:
        """The smallest score of each row, and the lowest index that has it."""
        step = max(CHUNK_PAIRS // len(self.words), 1)
        parts = [(self.bias + part @ self.words.T).min(dim=1) for part in torch.split(self.rows, step)]
        return torch.cat([part.values for part in parts]), torch.cat([part.indices for part in parts])

    def of(self, codes: Tensor) -> Tensor:
        """The score of one codeword for each row."""
        return self.bias[codes] + (self.rows * self.words[codes]).sum(dim=1)

    def compare(self, codes: Tensor) -> tuple[int, int]:
        """How many codes differ from the best, and how many of them by more than rounding."""
        if bool(((codes < 0) | (codes >= len(self.words))).any()):
            inside = codes.clamp(0, len(self.words) - 1)
            outside = int((codes != inside).sum())
            differ, wrong = self.compare(inside)
            return differ + outside, wrong + outside
        best, index = self.best()
        return int((codes != index).sum()), int((self.of(codes) - best > self.rounding).sum())


def check_codes(case: Case, inputs: Inputs, codes: Tensor) -> Agreement:
    """Compare codes ``(N, T)`` with those that float64 arithmetic finds.

    A stage of residual quantization is judged by the residual that the codes before it leave.
    """
    if case.codewords == 0:
        return _check_lookup_free(case, inputs.vectors.double(), codes[:, 0])
    step = math.ceil(case.rows * case.codewords / PAIRS)
    chosen = codes[::step].to(inputs.vectors.device)
    rows = inputs.vectors[::step].double()
    differ = wrong = 0
    for stage, words in enumerate(inputs.codebooks.double()):
        scores = _scores(case, rows, inputs.log_variances[::step].double(), words)
        worse, beyond = scores.compare(chosen[:, stage])
        differ, wrong = differ + worse, wrong + beyond
        rows = rows - words[chosen[:, stage].clamp(0, len(words) - 1)]
    return Agreement(checked=len(chosen), differ=differ, wrong=wrong)


def _scores(case: Case, rows: Tensor, log_variances: Tensor, words: Tensor) -> _Scores:
    if case.operation == "gq":
        precisions = torch.exp(-log_variances)
        rows = torch.cat([precisions - 1, -2 * rows * precisions], dim=1)
        words = torch.cat([words.square(), words], dim=1)
        bias, common = words.new_zeros(len(words)), rows.new_zeros(len(rows))
    elif case.operation in ("cosine", "inner"):
        if case.operation == "cosine":
            rows, words = normalize(rows), normalize(words)
        rows, bias, common = -rows, words.new_zeros(len(words)), rows.new_zeros(len(rows))
    else:  # |z|² is the same for all codewords, but those who compute it round it as well
        bias, common = words.square().sum(dim=1), rows.square().sum(dim=1)
        rows = -2 * rows
    size = rows.norm(dim=1) * words.norm(dim=1).max() + bias.max() + common
    return _Scores(rows=rows, words=words, bias=bias, rounding=2 * (rows.shape[1] + 8) * ROUNDOFF * size)


def _check_lookup_free(case: Case, rows: Tensor, codes: Tensor) -> Agreement:
    """Digits of FSQ, first channel least significant, or signs, first channel most significant."""
    codes = codes.to(rows.device)
    if case.levels:
        levels = torch.tensor(case.levels, dtype=torch.float64, device=rows.device)
        half = (levels - 1) * (1 + 1e-3) / 2
        offset = torch.where(levels % 2 == 0, 0.5, 0.0)
        bounded = torch.tanh(rows + torch.atanh(offset / half)) * half - offset
        digits = bounded.round() + levels // 2
        basis = torch.cumprod(torch.cat([levels.new_ones(1), levels[:-1]]), dim=0)
        doubtful = ((bounded - bounded.floor() - 0.5).abs() < FSQ_MARGIN * levels).any(dim=1)
    else:
        digits = (rows > 0).double()
        basis = 2.0 ** torch.arange(case.dim - 1, -1, -1, dtype=torch.float64, device=rows.device)
        doubtful = torch.zeros(len(rows), dtype=torch.bool, device=rows.device)
    differ = codes != (digits * basis).sum(dim=1).long()
    return Agreement(checked=len(codes), differ=int(differ.sum()), wrong=int((differ & ~doubtful).sum()))


def gradient_difference(gradient: Tensor, other: Tensor) -> float:
    """Relative difference ``|a - b| / |b|`` of two gradients."""
    return float((gradient.double() - other.double()).norm() / other.double().norm().clamp(min=1e-300))
