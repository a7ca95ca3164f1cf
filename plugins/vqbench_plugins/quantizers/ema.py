"""A codebook kept as running averages of the vectors assigned to each codeword, with restart of dead codewords."""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

import torch
import torch.distributed as dist
from torch import Tensor

from vqbench_plugins.quantizers.codebook import Codebook
from vqbench_plugins.quantizers.distributed import min_over_processes, processes, sum_over_processes

__all__ = ["CountsInit", "EMACodebook", "RestartRule"]

CountsInit: TypeAlias = Literal["ones", "zeros"]
RestartRule: TypeAlias = Literal["replace", "tile"]

TILE_NOISE = 0.01


class EMACodebook(Codebook):
    """Running averages ``N_k ← γN_k + (1-γ)n_k`` and ``M_k ← γM_k + (1-γ)Σz``, codewords ``M_k / smoothed N_k``.

    The smoothed count is ``(N_k + eps) / (ΣN + K·eps) · ΣN``. In a group of processes n and Σz are sums over all of them.

    Args:
        words: the codewords at the start, ``(K, d)``; the sums M start there as well.
        decay: γ.
        eps: of the smoothing, positive.
        counts_init: counts N start at ``ones``. ``zeros`` is the start of several published codes, which throws unused
            codewords away by a factor of 1e5 at the first step; only to reproduce them.
        restart_below: a codeword whose count falls below this starts again at a vector of the batch, with this count;
            never at 0.
        restart_rule: ``replace``: dead codewords become randomly chosen vectors, each another one, as many as there are
            (lucidrains/vector-quantize-pytorch 1.32). ``tile``: every slot draws a vector of a random order, and where
            there are fewer vectors than slots they are repeated with uniform noise of up to 0.01/√d, so that all dead
            codewords restart; it acts before the codewords are computed (RQ-VAE, which has ``restart_below`` = 1).
        spherical: codewords are scaled to length 1 after each step; sums are not.

    Source: van den Oord et al., arXiv 1711.00937, appendix A.1; kakaobrain/rq-vae-transformer; see ``counts_init``.
    """

    counts: Tensor
    sums: Tensor

    def __init__(
        self,
        words: Tensor,
        *,
        decay: float = 0.99,
        eps: float = 1e-5,
        counts_init: CountsInit = "ones",
        restart_below: float = 0.0,
        restart_rule: RestartRule = "replace",
        spherical: bool = False,
    ) -> None:
        super().__init__(words, trained=False, spherical=spherical)
        self.words.copy_(self.on_sphere(words))
        self.decay, self.eps = decay, eps
        self.restart_below, self.restart_rule = restart_below, restart_rule
        self.register_buffer("counts", torch.full((len(words),), 1.0 if counts_init == "ones" else 0.0))
        self.register_buffer("sums", self.words.clone())

    @torch.no_grad()
    def update(self, vectors: Tensor, codes: Tensor) -> None:
        """One step of the averages, with vectors ``(…, d)`` and their codes ``(…)``."""
        rows = vectors.detach().reshape(-1, vectors.shape[-1])
        assigned = torch.zeros_like(self.sums).index_add_(0, codes.flatten(), rows)
        hits = sum_over_processes(self.hits(codes).to(self.counts.dtype))
        self.counts.mul_(self.decay).add_(hits, alpha=1 - self.decay)
        self.sums.mul_(self.decay).add_(sum_over_processes(assigned), alpha=1 - self.decay)
        if self.restart_below > 0 and self.restart_rule == "tile":
            self._tile(rows)
        self._average()
        if self.restart_below > 0 and self.restart_rule == "replace":
            self._replace(rows)

    def _average(self) -> None:
        total = self.counts.sum()
        smoothed = (self.counts + self.eps) / (total + len(self.counts) * self.eps) * total
        words = self.sums / smoothed[:, None]
        if self.spherical:  # a sum that has died out has no direction: the codeword keeps its last one
            alive = words.norm(dim=1, keepdim=True) > 1e-6
            words = torch.where(alive, self.on_sphere(words), self.words)
        self.words.copy_(words)

    def _replace(self, rows: Tensor) -> None:
        available = int(min_over_processes(torch.tensor(len(rows), device=rows.device)))
        dead = (self.counts < self.restart_below).nonzero().squeeze(1)[:available]
        chosen = _from_first_process(rows[torch.randperm(len(rows), device=rows.device)[: len(dead)]])
        self.words[dead] = chosen
        self.counts[dead] = self.restart_below
        self.sums[dead] = chosen * self.restart_below

    def _tile(self, rows: Tensor) -> None:
        size, dim = self.sums.shape
        if len(rows) < size:
            rows = rows.repeat(math.ceil(size / len(rows)), 1)
            rows = rows + torch.rand_like(rows) * (TILE_NOISE / math.sqrt(dim))
        chosen = _from_first_process(rows[torch.randperm(len(rows), device=rows.device)[:size]])
        dead = self.counts < self.restart_below
        self.counts.masked_fill_(dead, self.restart_below)
        self.sums.copy_(torch.where(dead[:, None], chosen * self.restart_below, self.sums))


def _from_first_process(value: Tensor) -> Tensor:
    """The first process's tensor in all of them, so that their codebooks stay equal."""
    if processes() > 1:
        dist.broadcast(value, src=0)
    return value
