"""The check of memory: no number for every position and codeword at once."""

from __future__ import annotations

import torch

from vqbench.interfaces import Quantizer
from vqbench.testing.allocations import Allocations
from vqbench.testing.check import Check, NotApplicable, check, expect
from vqbench.testing.quantizer.parts import evaluated, loss_of
from vqbench.testing.subject import Subject

__all__ = ["MEMORY_CHECKS"]

MIB = 1 << 20
SCORES = 1 << 25
"""Scores of all positions and codewords: 128 MiB."""


@check(
    protects="A matrix of scores takes 16 GiB for a batch of 64 images of 32×32 tokens and 65,536 codewords.",
    fix="Search with vqbench.ops.nearest_codeword, which never holds one; take sums over codes in blocks of positions.",
)
def no_score_matrix(subject: Subject) -> None:
    """Counted at 2^25 scores: no tensor above a quarter of their bytes, all at most half of them and 12 times the state."""
    sizes = []
    for quantizer in evaluated(subject):
        codewords = _scores_of_a_position(quantizer)
        sizes.append(codewords)
        if codewords == 0:
            continue
        rows = max(SCORES // codewords // 16, 4)
        latents = torch.randn(1, quantizer.latent_channels, rows, 16)
        scores = 4 * codewords * latents[:, 0].numel()
        state = [*quantizer.parameters(), *quantizer.buffers(), latents]
        with Allocations() as evaluation, torch.no_grad():
            quantizer.eval()(latents)
        with Allocations() as training:
            total = loss_of(quantizer.train()(latents.requires_grad_()))
            if total.requires_grad:  # a conversion has no gradient
                total.backward()  # type: ignore[no-untyped-call]
        most = scores // 2 + 12 * sum(tensor.nbytes for tensor in state)
        for seen, mode in ((training, "training"), (evaluation, "evaluation")):
            for what, got, limit in (("one tensor", seen.largest, scores // 4), ("tensors at once", seen.peak, most)):
                expect(
                    got <= limit,
                    f"scores of all positions and codewords, or as much, are held in {mode}",
                    got=f"{got / MIB:.0f} MiB in {what}",
                    expected=f"at most {limit // MIB}, for {scores // MIB} of scores",
                )
    if not any(sizes):
        raise NotApplicable("codebooks are small beside the latents: set a large one")


def _scores_of_a_position(quantizer: Quantizer) -> int:
    """How many scores a position has in its largest slot, or in all slots; 0 where that is little beside the latent."""
    sizes = quantizer.codebook_sizes or (0,)
    enough = max(16 * quantizer.latent_channels, 1024)
    return next((count for count in (max(sizes), sum(sizes)) if count >= enough), 0)


MEMORY_CHECKS: tuple[Check, ...] = (no_score_matrix,)
