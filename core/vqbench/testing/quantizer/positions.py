"""Checks of maps: shapes, memory layouts and devices, and that every number stays where it is."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor

from vqbench.testing.check import Check, NotApplicable, check, expect
from vqbench.testing.quantizer.codes import expect_same_codes
from vqbench.testing.quantizer.parts import evaluated, latents_of, spec_of
from vqbench.testing.subject import Subject

__all__ = ["POSITION_CHECKS"]

TRIALS = 16
TOLERANCE = 1e-5


@check(
    protects="Backbones hand over maps of any size and memory layout, on any device, and go on using them.",
    fix="Return a float32 value (B, code_channels, h, w) on the latents' device; use reshape where view needs contiguous "
    "memory, and no operation in place on the latents.",
)
def shapes_dtypes_and_devices_are_kept(subject: Subject) -> None:
    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    for original in evaluated(subject):
        for device in devices:
            quantizer = deepcopy(original).to(device)
            for latents in latents_of(quantizer):
                shape = (len(latents), quantizer.code_channels, *latents.shape[2:])
                here = latents.to(device)
                by_layout = {
                    "contiguous": here,
                    "channels_last": here.to(memory_format=torch.channels_last),
                    "every other column": here.repeat_interleave(2, dim=3)[..., ::2],
                }
                expected = quantizer.eval()(here).codes
                for training in (False, True):
                    for layout, given in by_layout.items():
                        before = given.clone()
                        out = deepcopy(quantizer).train(training)(given)
                        where = f"of {layout} latents on {device}, {'training' if training else 'evaluation'}"
                        expect(
                            tuple(out.value.shape) == shape, f"the value {where} has a wrong shape", got=out.value.shape
                        )
                        expect(
                            out.value.dtype == torch.float32, f"the value {where} is not float32", got=out.value.dtype
                        )
                        for tensor in (out.value, out.codes):
                            expect(tensor.device.type == device, f"a result {where} is elsewhere", got=tensor.device)
                        expect(torch.equal(given, before), f"the latents {where} are changed in place")
                        if not training:
                            expect_same_codes(quantizer, here, out.codes, expected, where)


@check(
    protects="Swapped axes scatter an image's codes: it still trains, but worse, and codes are no longer where they say.",
    fix="Look at movedim and reshape around the search: (B, C, h, w) to (B, h, w, C) and back. If a position's codes depend "
    'on other positions by design, say so with the capability "spatial".',
)
@torch.no_grad()
def axes_are_not_swapped(subject: Subject) -> None:
    """A new latent at one position changes codes and value there and nowhere else, and so does a new code."""
    if "spatial" in spec_of(subject).capabilities:
        raise NotApplicable('the codes of a position depend on others (capability "spatial")')
    for quantizer in evaluated(subject):
        latents = torch.randn(2, quantizer.latent_channels, 3, 5)
        before = quantizer(latents)
        changed_codes = changed_values = 0
        for trial in range(TRIALS):
            image, row, column = trial % 2, trial % 3, trial % 5
            other = latents.clone()
            other[image, :, row, column] = 3 * torch.randn(quantizer.latent_channels)
            after = quantizer(other)
            there = torch.zeros(2, 3, 5, dtype=torch.bool)
            there[image, row, column] = True
            code = (after.codes != before.codes).any(dim=1)
            value = _differ(after.value, before.value)
            expect(not (code & ~there).any(), "a new latent at one position changes codes elsewhere", got=_list(code))
            expect(
                not (value & ~there).any(), "a new latent at one position changes the value elsewhere", got=_list(value)
            )
            changed_codes, changed_values = changed_codes + int(code.sum()), changed_values + int(value.sum())
            for slot, size in enumerate(quantizer.codebook_sizes):
                codes = before.codes.clone()
                codes[image, slot, row, column] = (codes[image, slot, row, column] + 1 + trial) % size
                value = _differ(quantizer.decode(codes), before.value)
                expect(
                    not (value & ~there).any(),
                    "a new code at one position changes the value elsewhere",
                    got=_list(value),
                )
        if quantizer.codebook_sizes:
            expect(changed_codes > 0, "other latents never change a code", got=f"{TRIALS} times the same codes")
        expect(changed_values > 0, "other latents never change the value")


def _differ(left: Tensor, right: Tensor) -> Tensor:
    """Positions ``(B, h, w)`` where two values differ by more than rounding."""
    return ((left - right).abs() > TOLERANCE * (1 + right.abs())).any(dim=1)


def _list(positions: Tensor) -> str:
    return "(image, row, column) " + ", ".join(str(tuple(each)) for each in positions.nonzero()[:4].tolist())


POSITION_CHECKS: tuple[Check, ...] = (shapes_dtypes_and_devices_are_kept, axes_are_not_swapped)
