"""RQ: several codewords per position, each nearest to what the ones before it left over (arXiv 2203.01941)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from itertools import accumulate
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vqbench.interfaces import Loss, Quantized, Quantizer, straight_through
from vqbench.ops import nearest_residual
from vqbench_plugins.quantizers.codebook import initial_words
from vqbench_plugins.quantizers.codebook_checks import check_averages
from vqbench_plugins.quantizers.ema import CountsInit, EMACodebook, RestartRule
from vqbench_plugins.quantizers.images import few_images

__all__ = ["RQ"]


class RQ(Quantizer):
    """Residual quantization: token t is the codeword nearest to the latent less the codewords of tokens before it.

    The value is the sum of the codewords. With ``z_t`` the sum of the first t, the one loss is ``commitment`` =
    mean over t of mean (z - sg z_t)². Codebooks are running averages of the residuals, and take their step inside each
    depth: with a shared codebook, depth t + 1 already searches what depth t has changed. The codewords of a step are
    those from before it.

    Args:
        codebook_size: K, of every depth.
        dim: channels of the latent, and of a codeword.
        depth: T, tokens per position.
        shared_codebook: one codebook for all depths (all published configurations), or one for each.
        commitment_weight: of the commitment loss.
        gradient: ``total`` passes the decoder's gradient straight through once, on the sum (RQ-VAE). ``per-stage`` does
            so at each depth, which multiplies it by T (the default of lucidrains/vector-quantize-pytorch).
        decay, eps, counts_init, restart_below, restart_rule: of the codebooks, see :class:`EMACodebook`. The published
            restart is ``tile`` below 1, an absolute count: with fewer vectors in a batch than a few times K, most
            codewords restart at every step.

    Raises:
        ParameterError: the codebook size, decay or eps is out of range.

    Source: Lee et al., Autoregressive Image Generation using Residual Quantization, arXiv 2203.01941;
    kakaobrain/rq-vae-transformer, whose running counts start at zero (``counts_init``).
    """

    def __init__(
        self,
        codebook_size: int,
        dim: int,
        depth: int,
        shared_codebook: bool = True,
        commitment_weight: float = 0.25,
        gradient: Literal["total", "per-stage"] = "total",
        decay: float = 0.99,
        eps: float = 1e-5,
        counts_init: CountsInit = "ones",
        restart_below: float = 1.0,
        restart_rule: RestartRule = "tile",
    ) -> None:
        super().__init__()
        check_averages(decay=decay, eps=eps)
        self.commitment_weight, self.gradient = commitment_weight, gradient
        self.latent_channels = self.code_channels = dim
        self.codebook_sizes = (codebook_size,) * depth
        self.codebooks = nn.ModuleList(
            EMACodebook(
                initial_words(codebook_size, dim, "normal"),
                decay=decay,
                eps=eps,
                counts_init=counts_init,
                restart_below=restart_below,
                restart_rule=restart_rule,
            )
            for _ in range(1 if shared_codebook else depth)
        )

    def forward(self, latents: Tensor) -> Quantized:
        vectors = latents.movedim(1, -1)  # (B, h, w, d)
        if not self.training:
            found = nearest_residual(vectors, [book.words for book in self._books]).movedim(-1, 1).contiguous()
            return Quantized(value=self.decode(found), codes=found)
        vectors = vectors.contiguous()
        residual, codes, prefixes = vectors.detach(), list[Tensor](), list[Tensor]()
        for book in self._books:
            codes.append(book.search(residual))
            words = book.lookup(codes[-1])
            book.update(residual, codes[-1])
            prefixes.append(prefixes[-1] + words if prefixes else words)
            residual = residual - words
        errors = [F.mse_loss(vectors, prefix) for prefix in prefixes]
        total = straight_through(vectors, prefixes[-1])
        if self.gradient == "per-stage":
            total = total + (len(codes) - 1) * (vectors - vectors.detach())
        return Quantized(
            value=total.movedim(-1, 1).contiguous(),
            codes=torch.stack(codes, dim=1),  # (B, T, h, w)
            losses={
                "commitment": Loss(value=torch.stack(errors).mean(), unit="element_mean", weight=self.commitment_weight)
            },
            statistics={f"squared_residual_{t}": error.detach() for t, error in enumerate(errors, 1)},
        )

    def decode(self, codes: Tensor) -> Tensor:
        return few_images(lambda part: reduce(torch.add, self._words(part)).movedim(-1, 1), codes, self.code_channels)

    def decode_prefixes(self, codes: Tensor) -> list[Tensor]:
        """The values ``(B, dim, h, w)`` of the first 1, 2, … of the tokens ``(B, t, h, w)``, for any t of 1 to T."""
        return [prefix.movedim(-1, 1).contiguous() for prefix in accumulate(self._words(codes))]

    def _words(self, codes: Tensor) -> Iterator[Tensor]:
        """The codewords ``(B, h, w, dim)`` of each of the tokens ``(B, t, h, w)``."""
        return (book.lookup(code) for book, code in zip(self._books, codes.unbind(dim=1), strict=False))

    @property
    def _books(self) -> list[EMACodebook]:
        """The codebook of each depth."""
        books = [book for book in self.codebooks if isinstance(book, EMACodebook)]
        return books * (len(self.codebook_sizes) // len(books))
