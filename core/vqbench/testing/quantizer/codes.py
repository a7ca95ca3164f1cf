"""Checks of codes: their type and range, and that a latent's codes are its own."""

from __future__ import annotations

import torch
from torch import Tensor

from vqbench.interfaces import Quantizer
from vqbench.testing.check import Check, check, expect
from vqbench.testing.quantizer.parts import discrete, latents_of, many_latents, spec_of
from vqbench.testing.subject import Subject

__all__ = ["CODE_CHECKS", "expect_same_codes"]

ROUNDING = 1e-5
"""Relative change of a latent that rounding may amount to."""
MOST_TIES = 16
"""Latents of a batch that are looked at for whether rounding decides; more never do."""


@check(
    protects="Rates, usage and entropy coding count codes: one outside its codebook, or of another type, makes them wrong.",
    fix="Return int64 codes (B, T, h, w) with slot t in [0, K_t), T and K_t those of codebook_sizes.",
)
@torch.no_grad()
def codes_are_int64_in_range(subject: Subject) -> None:
    for quantizer in discrete(subject):
        sizes = quantizer.codebook_sizes
        for scale in (0.0, 1.0, 3.0, 1e4):
            for latents in (*latents_of(quantizer, scale), *_values_at_the_ends(quantizer)):
                codes = quantizer(latents).codes
                expect(codes.dtype == torch.int64, "codes have a wrong dtype", got=codes.dtype, expected=torch.int64)
                shape = (len(latents), len(sizes), *latents.shape[2:])
                expect(tuple(codes.shape) == shape, "codes have a wrong shape", got=tuple(codes.shape), expected=shape)
                for slot, size in enumerate(sizes):
                    low, high = int(codes[:, slot].min()), int(codes[:, slot].max())
                    expect(
                        low >= 0 and high < size,
                        f"slot {slot} is out of range",
                        got=f"{low} … {high}",
                        expected=f"0 … {size - 1}",
                    )


def _values_at_the_ends(quantizer: Quantizer) -> list[Tensor]:
    """Latents that should get the first and the last code: their values, where latents and values are alike."""
    if quantizer.latent_channels != quantizer.code_channels:
        return []
    last = torch.tensor(quantizer.codebook_sizes) - 1
    values = []
    for codes in (0 * last, last):
        try:
            values.append(quantizer.decode(codes.view(1, -1, 1, 1)))
        except Exception as error:
            expect(False, "codes in range cannot be decoded", got=f"{type(error).__name__} for {codes.tolist()}")
    return values


@check(
    protects="What the decoder is evaluated on must be what the codes carry, or the reported rate is not that of the image.",
    fix="In evaluation, return decode(codes) itself as the value.",
)
def eval_value_is_decode_of_codes(subject: Subject) -> None:
    for quantizer in discrete(subject):
        for scale in (0.0, 0.01, 1.0, 100.0):
            for latents in latents_of(quantizer, scale):
                with torch.no_grad():
                    quantized = quantizer(latents)
                    decoded = quantizer.decode(quantized.codes)
                same = torch.equal(quantized.value, decoded)
                worst = 0.0 if same else float((quantized.value - decoded).abs().max())
                expect(
                    same,
                    "the evaluated value is not what its codes decode to",
                    got=f"a difference of {worst:g}",
                    expected="none",
                )


@check(
    protects="Batches are cut anyhow: an image whose codes change with its company has no codes of its own.",
    fix="Take no statistics over the batch in evaluation, and look at how your search splits its rows and what becomes "
    "of the last block.",
)
@torch.no_grad()
def codes_do_not_depend_on_the_rest_of_the_batch(subject: Subject) -> None:
    for quantizer in discrete(subject):
        latents = many_latents(quantizer, positions=min((1 << 21) // quantizer.latent_channels, 1 << 17))
        together = quantizer(latents).codes
        parts = {
            "alone": slice(0, 1),
            "last of all, alone": slice(len(latents) - 1, None),
            "in a smaller batch": slice(3, 10),
        }
        for what, part in parts.items():
            expect_same_codes(quantizer, latents[part], quantizer(latents[part]).codes, together[part], what)
        turned = quantizer(latents.flip(0)).codes.flip(0)
        expect_same_codes(quantizer, latents, turned, together, "in the opposite order")


@check(
    protects="Usage and entropy count equal latents as one code, also where several codewords are equally near.",
    fix="Break ties by a fixed rule, say the lowest index. If codes depend on the position by design, say so with the "
    'capability "positional".',
)
@torch.no_grad()
def equal_latents_have_equal_codes(subject: Subject) -> None:
    positional = "positional" in spec_of(subject).capabilities
    for quantizer in discrete(subject):
        for latent in (torch.zeros(quantizer.latent_channels), torch.randn(quantizer.latent_channels)):
            latents = many_latents(quantizer, positions=4096)
            latents[1::2] = latent[:, None, None]  # every other image consists of it
            codes = quantizer(latents).codes[1::2]
            one = quantizer(latents[1:2]).codes if positional else quantizer(latents[1:2, :, :1, :1]).codes
            expect(
                bool((codes == one).all()),
                "equal latents have different codes",
                got=f"{int((codes != one).any(dim=1).sum())} of {codes[:, 0].numel()} differ",
                expected="one code",
            )


@torch.no_grad()
def expect_same_codes(quantizer: Quantizer, latents: Tensor, got: Tensor, expected: Tensor, what: str) -> None:
    """Fail unless both are codes ``(B, T, h, w)`` of the latents, up to latents between two codewords that rounding decides.

    A matrix product of another size rounds otherwise, so that a latent in the very middle may go either way: that is one
    which a change of 1e-5 sends there.
    """
    differ = (got != expected).any(dim=1)
    ties = 0
    if int(differ.sum()) <= MOST_TIES:
        for image, row, column in differ.nonzero().tolist():
            near = latents[image : image + 1].repeat(64, 1, 1, 1)
            at = near[:, :, row, column]  # a view
            at += ROUNDING * at.abs().mean() * torch.randn_like(at)
            reached = quantizer(near).codes[:, :, row, column] == got[image, :, row, column]
            ties += int(reached.all(dim=1).any())
    wrong = int(differ.sum()) - ties
    expect(wrong == 0, f"latents have other codes {what}", got=f"{wrong} of {differ.numel()}", expected="none")


CODE_CHECKS: tuple[Check, ...] = (
    codes_are_int64_in_range,
    eval_value_is_decode_of_codes,
    codes_do_not_depend_on_the_rest_of_the_batch,
    equal_latents_have_equal_codes,
)
