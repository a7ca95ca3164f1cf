"""Checks of evaluation: it is a function of the latents and the state, and leaves no trace."""

from __future__ import annotations

import torch

from vqbench.ops.threads import torch_threads
from vqbench.testing.check import Check, check, expect
from vqbench.testing.quantizer.codes import expect_same_codes
from vqbench.testing.quantizer.parts import changed_names, evaluated, latents_of, many_latents
from vqbench.testing.randomness import expect_no_draw, reseed
from vqbench.testing.subject import Subject

__all__ = ["EVALUATION_CHECKS"]


@check(
    protects="An image that gets other codes in a second evaluation has no reconstruction that a record could speak of.",
    fix="Draw nothing in evaluation. Where the method needs noise there, take it from a generator of its own with a fixed seed.",
)
@torch.no_grad()
def eval_is_deterministic(subject: Subject) -> None:
    for quantizer in evaluated(subject):
        latents = many_latents(quantizer, positions=1024)
        first = quantizer(latents)
        for seed in (None, 1, 2):
            if seed is not None:
                reseed(seed)
            again = quantizer(latents)
            same = torch.equal(again.codes, first.codes) and torch.equal(again.value, first.value)
            expect(
                same,
                "the same latents evaluate otherwise",
                got="a second time" if seed is None else "under another seed",
            )
        with torch_threads(2 if torch.get_num_threads() == 1 else 1):
            expect_same_codes(
                quantizer, latents, quantizer(latents).codes, first.codes, "with another number of threads"
            )


@check(
    protects="Evaluation between two training steps must not shift what the next steps draw.",
    fix="Draw nothing from torch's, numpy's or Python's global generators in evaluation, and set no global seed.",
)
@torch.no_grad()
def eval_uses_no_global_randomness(subject: Subject) -> None:
    for quantizer in evaluated(subject):
        for latents in latents_of(quantizer):
            with expect_no_draw("evaluation"):
                quantized = quantizer(latents)
                if quantizer.codebook_sizes:
                    quantizer.decode(quantized.codes)


@check(
    protects="Evaluation must not train: what adapts to test images reports numbers that nobody else can get.",
    fix="Update buffers only where self.training, and return losses, statistics of training and prefixes only there.",
)
def eval_changes_no_state_and_leaves_no_losses(subject: Subject) -> None:
    for quantizer in evaluated(subject):
        before = {name: value.clone() for name, value in quantizer.state_dict().items()}
        for latents in latents_of(quantizer, scale=2.0):
            quantized = quantizer(latents)
            expect(not quantized.losses, "evaluation leaves losses", got=", ".join(quantized.losses), expected="none")
            expect(not quantized.prefixes, "evaluation leaves prefixes", got=len(quantized.prefixes), expected="none")
            if quantizer.codebook_sizes:
                quantizer.decode(quantized.codes)
        changed = changed_names(before, quantizer.state_dict())
        expect(not changed, "evaluation changes the state", got=changed, expected="nothing")
        expect(not quantizer.training, "evaluation switches to training mode")


EVALUATION_CHECKS: tuple[Check, ...] = (
    eval_is_deterministic,
    eval_uses_no_global_randomness,
    eval_changes_no_state_and_leaves_no_losses,
)
