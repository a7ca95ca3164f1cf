"""Checks of decode: it needs codes only, every slot counts, and values are what latents ask for."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor

from vqbench.interfaces import Quantizer
from vqbench.testing.check import Check, NotApplicable, check, expect
from vqbench.testing.quantizer.parts import discrete, evaluated, latents_of, many_latents, quantizers_of, trains_as
from vqbench.testing.subject import Subject

__all__ = ["DECODING_CHECKS"]

ENUMERATED = 4096
"""Codes of a slot that are decoded one by one; of larger codebooks the first, the last and random ones."""
CHANNELS = 16
"""Channels of the value that are looked at."""


@check(
    protects="Codes are what is stored and sent: the receiver has the trained weights and nothing of the image.",
    fix="Let decode use its codes, parameters and buffers only: nothing that forward left behind.",
)
@torch.no_grad()
def decode_needs_codes_only(subject: Subject) -> None:
    for quantizer, fresh in zip(discrete(subject), quantizers_of(subject), strict=True):
        fresh.eval().load_state_dict(quantizer.state_dict())
        for slot in range(len(quantizer.codebook_sizes)):
            codes = _codes(quantizer, slot)
            given = codes.clone()
            value = quantizer.decode(codes)
            expect(torch.equal(codes, given), "decode changes the codes in place")
            shape = (1, quantizer.code_channels, *codes.shape[2:])
            expect(
                tuple(value.shape) == shape, "a decoded value has a wrong shape", got=tuple(value.shape), expected=shape
            )
            expect(value.dtype == torch.float32, "a decoded value is not float32", got=value.dtype)
            expect(bool(torch.isfinite(value).all()), f"a code of slot {slot} decodes to NaN or infinity")
            expect(
                bool((value != value[..., :1]).any()),
                f"all codes of slot {slot} decode to one value",
                expected="different ones",
            )
            for latents in latents_of(quantizer):
                quantizer(latents)
            expect(torch.equal(quantizer.decode(codes), value), "codes decode otherwise after other latents were seen")
            expect(
                torch.equal(fresh.decode(codes), value), "codes decode otherwise with the same state in a new quantizer"
            )


@check(
    protects="A decode that permutes codes or bits, or a gradient that points elsewhere, still trains, but worse.",
    fix="Look at the order of bits, digits, groups and channels on the way to codes and back, and at the gradient's sign: "
    "each channel of the value should move where the gradient in training says.",
)
def values_follow_the_latents(subject: Subject) -> None:
    """Correlated over positions, channel by channel. Of a conversion: its values with those it was trained with."""
    other = trains_as(subject)
    if other is None:
        for quantizer in quantizers_of(subject):
            _expect_correlated("change of the value is not along the gradient", *_changes(quantizer))
        return
    for quantizer, origin in zip(evaluated(subject), evaluated(other), strict=True):
        latents = many_latents(quantizer, positions=4096, least=2048)
        with torch.no_grad():
            values, trained_with = quantizer(latents).value, origin(latents).value
        if not origin.codebook_sizes and origin.code_channels != quantizer.code_channels:
            raise NotApplicable("its values have other channels than those it was trained with")
        channels = _channels(quantizer)
        _expect_correlated(
            f"value is not that of {other.entry.id}", channels, values[:, channels], trained_with[:, channels]
        )


def _changes(quantizer: Quantizer) -> tuple[list[int], Tensor, Tensor]:
    """Between two draws of latents: changes of the evaluated value, and what its gradient in training says of them."""
    channels = _channels(quantizer)
    latents, others = (many_latents(quantizer, positions=4096, least=2048) for _ in range(2))
    training = deepcopy(quantizer).train()
    leaf = latents.clone().requires_grad_()
    value = training(leaf).value
    expect(value.requires_grad, "the value in training carries no gradient")
    said = []
    for channel in channels:
        (gradient,) = torch.autograd.grad(value[:, channel].sum(), leaf, retain_graph=True, allow_unused=True)
        expect(gradient is not None, f"channel {channel} of the value has no gradient")
        said.append((gradient * (others - latents)).sum(dim=1))
    with torch.no_grad():
        quantizer.eval()
        changes = quantizer(others).value - quantizer(latents).value
    return channels, changes[:, channels], torch.stack(said, dim=1)


def _channels(quantizer: Quantizer) -> list[int]:
    """All channels of the value, or some of many."""
    count = quantizer.code_channels
    return sorted({index * count // CHANNELS for index in range(CHANNELS)}) if count > CHANNELS else list(range(count))


def _expect_correlated(what: str, channels: list[int], left: Tensor, right: Tensor) -> None:
    """Fail unless maps ``(B, C, h, w)`` are clearly correlated in each channel."""
    if not bool((left != left[:1, :, :1, :1]).any()):
        raise NotApplicable("new quantizers give all latents one value")
    least = 4 / (left[:, 0].numel() ** 0.5)  # four standard errors of a correlation of 0
    rows = [part.detach().movedim(1, 0).flatten(1).double() for part in (left, right)]
    for channel, (first, second) in zip(channels, zip(*rows, strict=True), strict=True):
        correlation = float(torch.corrcoef(torch.stack([first, second]))[0, 1])
        expect(
            correlation > least,
            f"channel {channel}: the {what}",
            got=f"a correlation of {correlation:.3f}",
            expected=f"above {least:.3f}",
        )


def _codes(quantizer: Quantizer, slot: int) -> Tensor:
    """Codes ``(1, T, 2, n)``: every code of one slot, or many of them, beside one code of each other slot."""
    sizes = quantizer.codebook_sizes
    if sizes[slot] <= ENUMERATED:
        these = torch.arange(sizes[slot])
    else:
        these = torch.cat([torch.tensor([0, 1, sizes[slot] - 1]), torch.randint(sizes[slot], (ENUMERATED,))])
    others = torch.stack([torch.randint(size, ()) for size in sizes])
    codes = others[None, :, None, None].repeat(1, 1, 2, len(these))
    codes[:, slot] = these
    return codes


DECODING_CHECKS: tuple[Check, ...] = (decode_needs_codes_only, values_follow_the_latents)
