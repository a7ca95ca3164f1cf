"""VQ: the nearest row of a learned codebook (van den Oord et al., arXiv 1711.00937)."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vqbench.interfaces import Loss, Quantized, Quantizer, straight_through
from vqbench.ops import nearest_codeword
from vqbench_plugins.quantizers.checks import check_codebook_size
from vqbench_plugins.quantizers.grouping import join_groups, split_groups

__all__ = ["VQ"]


class VQ(Quantizer):
    """Nearest codeword with a straight-through gradient.

    Losses, with sg the stop-gradient: ``commitment`` = mean (z - sg q)², which moves the encoder, and, for a codebook
    trained by gradient, ``codebook`` = mean (sg z - q)², which moves the codewords.

    Args:
        codebook_size: K.
        dim: d, channels of a codeword.
        tokens: T, groups of d channels that are quantized separately with one shared codebook; component i of token t
            is channel ``i·T + t``.
        update: ``gradient`` trains the codebook as a parameter, initialised uniformly on ±1/K. ``ema`` keeps it as
            running averages of the latents assigned to each codeword, initialised normally, without a codebook loss.
        beta: weight of one of the losses; the other's is 1.
        beta_placement: ``standard`` weighs the commitment loss with beta (the paper), ``legacy`` the codebook loss (all
            released VQGAN checkpoints: an effective commitment of 1/beta). The loss values are equal, the gradients are
            not. With an EMA codebook beta always weighs the commitment loss: there is no other.
        codebook_weight: factor on both losses.
        reduction: ``mean`` over tokens and channels, or ``sum_channels`` and mean over tokens (d times stronger).
        normalize: ``l2`` puts latents and codewords on the unit sphere: search, value and losses use the normalised
            pair, and gradients pass both normalisations (ViT-VQGAN).
        decay: of the running averages, gamma.
        eps: of their Laplace smoothing.
        counts_init: running counts start at ``ones``. ``zeros`` is the start of several published codes, which throws
            unused codewords away by a factor of 1e5 at the first step; only to reproduce them.
        restart_below: with ``ema``, a codeword whose running count falls below this starts again at a random latent of the
            batch, with this count; never at 0. (The rule of lucidrains/vector-quantize-pytorch 1.32.)

    Raises:
        ParameterError: the codebook size is out of range.
    """

    codebook: Tensor
    counts: Tensor
    sums: Tensor

    def __init__(
        self,
        codebook_size: int,
        dim: int,
        tokens: int = 1,
        update: Literal["gradient", "ema"] = "gradient",
        beta: float = 0.25,
        beta_placement: Literal["standard", "legacy"] = "standard",
        codebook_weight: float = 1.0,
        reduction: Literal["mean", "sum_channels"] = "mean",
        normalize: Literal["none", "l2"] = "none",
        decay: float = 0.99,
        eps: float = 1e-5,
        counts_init: Literal["ones", "zeros"] = "ones",
        restart_below: float = 0.0,
    ) -> None:
        super().__init__()
        check_codebook_size(codebook_size)
        self.dim, self.update, self.reduction, self.normalize = dim, update, reduction, normalize
        self.decay, self.eps, self.restart_below = decay, eps, restart_below
        legacy = update == "gradient" and beta_placement == "legacy"
        self.commitment_weight = codebook_weight * (1.0 if legacy else beta)
        self.codebook_weight = codebook_weight * (beta if legacy else 1.0)
        self.latent_channels = self.code_channels = dim * tokens
        self.codebook_sizes = (codebook_size,) * tokens
        if update == "gradient":
            codebook = torch.empty(codebook_size, dim).uniform_(-1 / codebook_size, 1 / codebook_size)
            self.codebook = nn.Parameter(codebook)
        else:
            codebook = self._on_sphere(torch.randn(codebook_size, dim))
            self.register_buffer("codebook", codebook)
            self.register_buffer("counts", torch.full((codebook_size,), 1.0 if counts_init == "ones" else 0.0))
            self.register_buffer("sums", codebook.clone())

    def forward(self, latents: Tensor) -> Quantized:
        vectors = self._on_sphere(split_groups(latents, self.dim, "strided"))  # (B, T, h, w, d)
        rows = vectors.detach().reshape(-1, self.dim)
        indices = nearest_codeword(rows, self._on_sphere(self.codebook))
        codes = indices.view(vectors.shape[:-1])
        if not self.training:
            return Quantized(value=self.decode(codes), codes=codes)
        words = self._words(codes)
        losses = {"commitment": self._loss(vectors, words.detach(), self.commitment_weight)}
        if self.update == "gradient":
            losses["codebook"] = self._loss(vectors.detach(), words, self.codebook_weight)
        hits = torch.bincount(indices, minlength=len(self.codebook))
        if self.update == "ema":
            self._move_codebook(rows, indices, hits)
        return Quantized(
            value=join_groups(straight_through(vectors, words), "strided"),
            codes=codes,
            losses=losses,
            statistics={"batch_usage": (hits > 0).float().mean()},
        )

    def decode(self, codes: Tensor) -> Tensor:
        return join_groups(self._words(codes), "strided")

    def _words(self, codes: Tensor) -> Tensor:
        """Codewords ``(…, d)`` of codes; a copy, which later changes of the codebook do not reach."""
        return self._on_sphere(F.embedding(codes, self.codebook))

    def _on_sphere(self, vectors: Tensor) -> Tensor:
        return F.normalize(vectors, dim=-1) if self.normalize == "l2" else vectors

    def _loss(self, vectors: Tensor, words: Tensor, weight: float) -> Loss:
        squares = (vectors - words).square()
        value = squares.sum(dim=-1).mean() if self.reduction == "sum_channels" else squares.mean()
        return Loss(value=value, unit="element_mean", weight=weight)

    @torch.no_grad()
    def _move_codebook(self, rows: Tensor, indices: Tensor, hits: Tensor) -> None:
        """One step of the running averages; c_k = sums_k / (smoothed counts_k)."""
        assigned = torch.zeros_like(self.sums).index_add_(0, indices, rows)
        self.counts.mul_(self.decay).add_(hits, alpha=1 - self.decay)
        self.sums.mul_(self.decay).add_(assigned, alpha=1 - self.decay)
        total = self.counts.sum()
        smoothed = (self.counts + self.eps) / (total + len(self.counts) * self.eps) * total
        self.codebook.copy_(self._on_sphere(self.sums / smoothed[:, None]))
        if self.restart_below > 0:
            self._restart(rows)

    def _restart(self, rows: Tensor) -> None:
        """Put codewords that are hardly used where latents are: each at another row, as many as there are rows for."""
        dead = (self.counts < self.restart_below).nonzero().squeeze(1)[: len(rows)]
        chosen = rows[torch.randperm(len(rows), device=rows.device)[: len(dead)]]
        self.codebook[dead] = chosen
        self.counts[dead] = self.restart_below
        self.sums[dead] = chosen * self.restart_below
