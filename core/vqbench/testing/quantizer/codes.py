"""Checks of codes: their type, range and what they decode to."""

from __future__ import annotations

import torch

from vqbench.testing.check import Check, check, expect
from vqbench.testing.quantizer.parts import discrete, latents_of
from vqbench.testing.subject import Subject

__all__ = ["CODE_CHECKS"]


@check(
    protects="Rates, usage and entropy coding count codes: one outside its codebook, or of another type, makes them wrong.",
    fix="Return int64 codes (B, T, h, w) with slot t in [0, K_t), T and K_t those of codebook_sizes.",
)
def codes_are_int64_in_range(subject: Subject) -> None:
    for quantizer in discrete(subject):
        sizes = quantizer.codebook_sizes
        for latents in latents_of(quantizer, scale=3.0):
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


@check(
    protects="What the decoder is evaluated on must be what the codes carry, or the reported rate is not that of the image.",
    fix="In evaluation, return decode(codes) itself as the value.",
)
def eval_value_is_decode_of_codes(subject: Subject) -> None:
    for quantizer in discrete(subject):
        for scale in (0.01, 1.0, 100.0):
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


CODE_CHECKS: tuple[Check, ...] = (codes_are_int64_in_range, eval_value_is_decode_of_codes)
