"""VQ: the nearest row of a learned codebook (van den Oord et al., arXiv 1711.00937)."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vqbench.interfaces import Loss, Quantized, Quantizer, straight_through
from vqbench.ops.precision import true_float32
from vqbench_plugins.quantizers.codebook import Codebook, CodebookInit, initial_words
from vqbench_plugins.quantizers.codebook_checks import check_vq
from vqbench_plugins.quantizers.ema import CountsInit, EMACodebook, RestartRule
from vqbench_plugins.quantizers.grouping import Grouping, join_groups, split_groups
from vqbench_plugins.quantizers.images import few_images
from vqbench_plugins.quantizers.rotation import rotate_onto

__all__ = ["VQ"]


class VQ(Quantizer):
    """Nearest codeword.

    Losses, with sg the stop-gradient: ``commitment`` = mean (z - sg q)², which moves the encoder, and, for a codebook
    trained by gradient, ``codebook`` = mean (sg z - q)², which moves the codewords.

    Args:
        codebook_size: K.
        dim: d, channels of a codeword.
        tokens: T, groups of d channels that are quantized separately.
        grouping: component i of token t is channel ``i·T + t`` (strided) or ``t·d + i`` (contiguous).
        shared_codebook: one codebook for all tokens, or one for each.
        latent_dim: channels of the latent and of the value, joined to the T·d of the tokens by a linear map before and
            another after the search (factorised codes, ViT-VQGAN); None: T·d, without maps.
        update: ``gradient`` trains the codebook as a parameter. ``ema`` keeps it as running averages of the latents
            assigned to each codeword, ``frozen`` as it started; both without a codebook loss.
        init: see :data:`CodebookInit`; None: uniform for ``gradient``, else normal.
        gradient: of the decoder to the encoder: ``straight-through``, or that of the rotation which turns the latent
            onto its codeword.
        loss: ``split`` as above; ``joint`` is one mean (z - q)², named ``codebook``, whose gradient moves both.
        beta: weight of one of the split losses; the other's is 1.
        beta_placement: ``standard`` weighs the commitment loss with beta (the paper), ``legacy`` the codebook loss (all
            released VQGAN checkpoints: an effective commitment of 1/beta). The loss values are equal, the gradients are
            not. Without a codebook loss beta always weighs the commitment loss.
        codebook_weight: factor on all losses.
        reduction: ``mean`` over tokens and channels, or ``sum_channels`` and mean over tokens (d times stronger).
        normalize: ``l2`` puts latents and codewords on the unit sphere: search, value and losses use the normalised
            pair, and gradients pass both normalisations (ViT-VQGAN).
        decay, eps, counts_init, restart_below, restart_rule: of an ``ema`` codebook, see :class:`EMACodebook`.

    Raises:
        ParameterError: the codebook size is out of range, or options that do not go together.
    """

    def __init__(
        self,
        codebook_size: int,
        dim: int,
        tokens: int = 1,
        grouping: Grouping = "strided",
        shared_codebook: bool = True,
        latent_dim: int | None = None,
        update: Literal["gradient", "ema", "frozen"] = "gradient",
        init: CodebookInit | None = None,
        gradient: Literal["straight-through", "rotation"] = "straight-through",
        loss: Literal["split", "joint"] = "split",
        beta: float = 0.25,
        beta_placement: Literal["standard", "legacy"] = "standard",
        codebook_weight: float = 1.0,
        reduction: Literal["mean", "sum_channels"] = "mean",
        normalize: Literal["none", "l2"] = "none",
        decay: float = 0.99,
        eps: float = 1e-5,
        counts_init: CountsInit = "ones",
        restart_below: float = 0.0,
        restart_rule: RestartRule = "replace",
    ) -> None:
        super().__init__()
        check_vq(update=update, loss=loss, restart_below=restart_below, decay=decay, eps=eps)
        self.dim, self.grouping, self.update, self.gradient = dim, grouping, update, gradient
        self.loss, self.reduction = loss, reduction
        legacy = update == "gradient" and loss == "split" and beta_placement == "legacy"
        self.commitment_weight = codebook_weight * (1.0 if legacy else beta)
        self.codebook_weight = codebook_weight * (beta if legacy else 1.0)
        self.latent_channels = self.code_channels = latent_dim or dim * tokens
        self.codebook_sizes = (codebook_size,) * tokens
        self.project_in = nn.Linear(latent_dim, dim * tokens) if latent_dim else nn.Identity()
        self.project_out = nn.Linear(dim * tokens, latent_dim) if latent_dim else nn.Identity()

        def codebook() -> Codebook:
            words = initial_words(codebook_size, dim, init or ("uniform" if update == "gradient" else "normal"))
            spherical = normalize == "l2"
            if update != "ema":
                return Codebook(words, trained=update == "gradient", spherical=spherical)
            return EMACodebook(
                words,
                decay=decay,
                eps=eps,
                counts_init=counts_init,
                restart_below=restart_below,
                restart_rule=restart_rule,
                spherical=spherical,
            )

        self.codebooks = nn.ModuleList(codebook() for _ in range(1 if shared_codebook else tokens))

    def forward(self, latents: Tensor) -> Quantized:
        vectors = split_groups(_map_channels(self.project_in, latents), self.dim, self.grouping)  # (B, T, h, w, d)
        vectors = self._books[0].on_sphere(vectors)
        found = (
            vectors.detach().contiguous() if self.training else vectors
        )  # a search alone copies a few rows at a time
        parts = found.chunk(len(self._books), dim=1)  # one per codebook
        of_parts = [book.search(part) for book, part in zip(self._books, parts, strict=True)]
        codes = torch.cat(of_parts, dim=1)
        if not self.training:
            return Quantized(value=self.decode(codes), codes=codes)
        words = self._lookup(codes)
        hits = [book.hits(part) for book, part in zip(self._books, of_parts, strict=True)]
        for book, part, part_codes in zip(self._books, parts, of_parts, strict=True):
            if isinstance(book, EMACodebook):
                book.update(part, part_codes)
        passed = (
            straight_through(vectors, words) if self.gradient == "straight-through" else rotate_onto(vectors, words)
        )
        return Quantized(
            value=self._value(passed),
            codes=codes,
            losses=self._losses(vectors, words),
            statistics={"batch_usage": (torch.stack(hits) > 0).float().mean()},
        )

    def decode(self, codes: Tensor) -> Tensor:
        return few_images(lambda part: self._value(self._lookup(part)), codes, self.code_channels)

    @property
    def _books(self) -> list[Codebook]:
        return [book for book in self.codebooks if isinstance(book, Codebook)]

    def _lookup(self, codes: Tensor) -> Tensor:
        """Codewords ``(B, T, h, w, d)``, which lie in memory as channels do, where latents are."""
        parts = codes.chunk(len(self._books), dim=1)
        of_parts = [book.lookup(part) for book, part in zip(self._books, parts, strict=True)]
        words = of_parts[0] if len(of_parts) == 1 else torch.cat(of_parts, dim=1)
        return split_groups(join_groups(words, self.grouping), self.dim, self.grouping)

    def _value(self, vectors: Tensor) -> Tensor:
        return _map_channels(self.project_out, join_groups(vectors, self.grouping))

    def _losses(self, vectors: Tensor, words: Tensor) -> dict[str, Loss]:
        if self.loss == "joint":
            return {"codebook": self._loss(vectors, words, self.codebook_weight)}
        losses = {"commitment": self._loss(vectors, words.detach(), self.commitment_weight)}
        if self.update == "gradient":
            losses["codebook"] = self._loss(vectors.detach(), words, self.codebook_weight)
        return losses

    def _loss(self, vectors: Tensor, words: Tensor, weight: float) -> Loss:
        value = F.mse_loss(vectors, words) * (self.dim if self.reduction == "sum_channels" else 1)
        return Loss(value=value, unit="element_mean", weight=weight)


def _map_channels(layer: nn.Module, maps: Tensor) -> Tensor:
    """A linear layer on the channels of ``(B, C, h, w)``, in true float32: its result decides codes."""
    if isinstance(layer, nn.Identity):
        return maps
    with true_float32(maps.device):
        mapped: Tensor = layer(maps.movedim(1, -1))
    return mapped.movedim(-1, 1).contiguous()
