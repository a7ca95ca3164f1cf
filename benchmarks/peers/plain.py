"""The ways anybody would write the operations in plain torch."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor
from torch.distributions import Normal
from torch.nn.functional import normalize

from benchmarks.peers.cases import Case, Inputs, Operation
from benchmarks.peers.contender import Contender, Implementation, Outputs, Run

__all__ = ["ADDMM", "CDIST", "COMPILED", "DENSE", "DENSE_ROWS"]

CHUNK_SCORES = 1 << 22
"""Scores of a chunk of ``addmm``: 16 MB."""
DENSE_ROWS = 512
"""Rows of a chunk of dense log densities. GQ's code takes an eighth of the rows, this at N = 4096."""


def _cdist(case: Case, inputs: Inputs) -> Run:
    words = inputs.codebooks[0]

    @torch.inference_mode()
    def run() -> Outputs:
        return Outputs(torch.cdist(inputs.vectors, words).argmin(dim=1))

    return run


def _argmin(rows: Tensor, words: Tensor, bias: Tensor) -> Tensor:
    """Index of the smallest ``bias_k + rows_n · words_k``."""
    return torch.addmm(bias, rows, words.T).argmin(dim=1)


@cache
def _compiled_argmin() -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    return torch.compile(_argmin, dynamic=True)  # slow to import


class _InChunks:
    """Searches by a product and a minimum, in chunks of rows."""

    def __init__(self, argmin: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
        self._argmin = argmin

    def implementations(self) -> dict[Operation, Implementation]:
        prepare: dict[Operation, Callable[[Case, Inputs], Run]] = {
            "search": self._euclidean,
            "cosine": self._cosine,
            "inner": self._inner,
            "residual": self._residual,
            "gq": self._gaussian,
        }
        return {operation: Implementation(prepare=make) for operation, make in prepare.items()}

    def _smallest(self, rows: Tensor, words: Tensor, bias: Tensor | None = None) -> Tensor:
        bias = words.new_zeros(len(words)) if bias is None else bias
        parts = torch.split(rows, max(CHUNK_SCORES // len(words), 1))
        return torch.cat([self._argmin(part, words, bias) for part in parts])

    def _nearest(self, rows: Tensor, words: Tensor) -> Tensor:
        return self._smallest(rows, -2 * words, words.square().sum(dim=1))

    def _euclidean(self, case: Case, inputs: Inputs) -> Run:
        @torch.inference_mode()
        def run() -> Outputs:
            return Outputs(self._nearest(inputs.vectors, inputs.codebooks[0]))

        return run

    def _cosine(self, case: Case, inputs: Inputs) -> Run:
        @torch.inference_mode()
        def run() -> Outputs:
            return Outputs(self._smallest(normalize(inputs.vectors), -normalize(inputs.codebooks[0])))

        return run

    def _inner(self, case: Case, inputs: Inputs) -> Run:
        @torch.inference_mode()
        def run() -> Outputs:
            return Outputs(self._smallest(inputs.vectors, -inputs.codebooks[0]))

        return run

    def _residual(self, case: Case, inputs: Inputs) -> Run:
        @torch.inference_mode()
        def run() -> Outputs:
            residual, codes = inputs.vectors, []
            for words in inputs.codebooks:
                codes.append(self._nearest(residual, words))
                residual = residual - words[codes[-1]]
            return Outputs(torch.stack(codes, dim=1))

        return run

    def _gaussian(self, case: Case, inputs: Inputs) -> Run:
        """The Gaussian score as one matrix product of 2m terms: ``[c² | c] · [1/σ² - 1 | -2 μ/σ²]``."""
        words = inputs.codebooks[0]

        @torch.inference_mode()
        def run() -> Outputs:
            precisions = torch.exp(-inputs.log_variances)
            rows = torch.cat([precisions - 1, -2 * inputs.vectors * precisions], dim=1)
            codes = self._smallest(rows, torch.cat([words.square(), words], dim=1))
            return Outputs(codes, words[codes])

        return run


def _dense_gaussian(case: Case, inputs: Inputs) -> Run:
    """Log density of the posterior minus that of the prior for all (row, codeword, dimension) of a chunk of rows.

    Source: the torch path of the released code of Gaussian Quantization, arXiv 2512.06609.
    """
    words = inputs.codebooks[0]
    prior = Normal(torch.zeros_like(words), torch.ones_like(words))

    @torch.inference_mode()
    def run() -> Outputs:
        parts = []
        deviations = torch.exp(0.5 * inputs.log_variances)
        for start in range(0, case.rows, DENSE_ROWS):
            chunk = slice(start, start + DENSE_ROWS)
            posterior = Normal(inputs.vectors[chunk, None], deviations[chunk, None])
            parts.append((posterior.log_prob(words) - prior.log_prob(words)).sum(dim=-1).argmax(dim=1))
        codes = torch.cat(parts)
        return Outputs(codes, words[codes])

    return run


def _dense_need(case: Case) -> int:
    return 4 * 3 * min(DENSE_ROWS, case.rows) * case.codewords * case.dim  # three float32 temporaries at a time


CDIST = Contender(
    name="cdist + argmin",
    package="torch",
    implementations={
        "search": Implementation(prepare=_cdist, need=lambda case: 4 * case.rows * case.codewords),
    },
)
ADDMM = Contender(
    name="addmm + argmin in chunks",
    package="torch",
    implementations=_InChunks(_argmin).implementations(),
)
COMPILED = Contender(
    name="the same, torch.compile",
    package="torch",
    implementations=_InChunks(lambda *terms: _compiled_argmin()(*terms)).implementations(),
)
DENSE = Contender(
    name="dense log densities in chunks",
    package="torch",
    implementations={"gq": Implementation(prepare=_dense_gaussian, need=_dense_need, memory_grows=False)},
)
