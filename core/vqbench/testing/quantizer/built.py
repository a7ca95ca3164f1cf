"""Checks of quantizers as they are built: what the descriptor announced, the same each time, and fit to travel."""

from __future__ import annotations

from copy import deepcopy
from multiprocessing.reduction import ForkingPickler

import torch

from vqbench.interfaces import Quantizer
from vqbench.rate import Bits, LevelRate
from vqbench.testing.check import Check, NotApplicable, check, expect
from vqbench.testing.quantizer.parts import changed_names, evaluated, latents_of, plans_of, quantizers_of
from vqbench.testing.subject import Subject

__all__ = ["BUILD_CHECKS"]

MOST_CODES = 1 << 62


@check(
    protects="Plans, rates and rankings are made from the descriptor alone, before anything is built.",
    fix="Make latent_channels, code_channels and codebook_sizes of each LevelPlan those that the class sets, as ints.",
)
def builds_as_announced(subject: Subject) -> None:
    plans = plans_of(subject)
    expect(plans, "there is no level")
    for index, plan in enumerate(plans):
        for name in ("latent_channels", "code_channels"):
            channels = getattr(plan, name)
            expect(type(channels) is int and channels > 0, f"{name} of level {index} is no positive int", got=channels)
        for size in plan.codebook_sizes:
            expect(
                type(size) is int and 2 <= size <= MOST_CODES,
                f"a codebook size of level {index} is out of range",
                got=repr(size),
                expected="an int of 2 to 2^62; of more codes, several tokens",
            )
    if all(plan.codebook_sizes for plan in plans):
        sizes = [LevelRate(height=1, width=1, codebook_sizes=plan.codebook_sizes) for plan in plans]
        expect(float(Bits.of(sizes)) >= len(plans), "codes have fewer bits than there are levels", got=Bits.of(sizes))
    for quantizer in quantizers_of(subject):  # compares them with the plan
        expect(isinstance(quantizer, Quantizer), "the target is no Quantizer", got=type(quantizer).__name__)


@check(
    protects="A run with the same seed must start from the same weights, and another method must not shift them.",
    fix="Draw initial weights from torch's global generator, or from a seed that is a parameter.",
)
def one_seed_gives_one_start(subject: Subject) -> None:
    starts = []
    for _ in range(2):
        torch.manual_seed(0)
        starts.append([quantizer.state_dict() for quantizer in quantizers_of(subject)])
    for first, second in zip(*starts, strict=True):
        changed = changed_names(first, second)
        expect(not changed, "a second start under the same seed differs", got=changed, expected="nothing")


@check(
    protects="Workers are processes of their own, and weight averages and timings take copies.",
    fix="Define the class at the top of its module, and keep no lambda, open file or generator in an attribute.",
)
@torch.no_grad()
def pickles_for_a_spawned_process(subject: Subject) -> None:
    for quantizer in evaluated(subject):
        latents = next(latents_of(quantizer))
        expected = quantizer(latents)
        copies = {
            "deep copy": deepcopy(quantizer),
            "pickled copy": ForkingPickler.loads(ForkingPickler.dumps(quantizer)),
        }
        for what, copy in copies.items():
            got = copy(latents)
            same = torch.equal(got.codes, expected.codes) and torch.equal(got.value, expected.value)
            expect(same, f"a {what} evaluates otherwise than the original")


@check(
    protects="Levels are coded from coarse to fine, and the objective decodes prefixes in place of the value: out of order, they "
    "train the decoder on another thing.",
    fix="Announce levels from coarse to fine, relative_stride 1 the last. Leave prefixes that are shaped like the value, the "
    "last one equal to it.",
)
def several_levels_and_prefixes(subject: Subject) -> None:
    strides = [plan.relative_stride for plan in plans_of(subject)]
    expect(
        strides == sorted(strides, reverse=True) and strides[-1] == 1,
        "levels do not go from coarse to fine",
        got=f"relative strides {strides}",
        expected="falling ones, 1 the last",
    )
    seen = len(strides) > 1
    for quantizer in quantizers_of(subject):
        for latents in latents_of(quantizer):
            quantized = quantizer(latents)
            for prefix in quantized.prefixes:
                seen = True
                expect(
                    prefix.shape == quantized.value.shape and prefix.dtype == quantized.value.dtype,
                    "a prefix is not shaped like the value",
                    got=tuple(prefix.shape),
                    expected=tuple(quantized.value.shape),
                )
            if quantized.prefixes:
                expect(torch.equal(quantized.prefixes[-1], quantized.value), "the last prefix is not the value")
                expect(quantized.prefix_weight > 0, "prefix_weight is not positive", got=quantized.prefix_weight)
    if not seen:
        raise NotApplicable("it has one level and leaves no prefixes")


BUILD_CHECKS: tuple[Check, ...] = (
    builds_as_announced,
    one_seed_gives_one_start,
    pickles_for_a_spawned_process,
    several_levels_and_prefixes,
)
