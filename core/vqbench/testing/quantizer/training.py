"""Checks of training: gradients and losses."""

from __future__ import annotations

import math
from copy import deepcopy

import torch
from torch import Tensor

from vqbench.interfaces import Quantizer
from vqbench.testing.check import Check, NotApplicable, check, expect
from vqbench.testing.quantizer.parts import latents_of, loss_of, train, trained
from vqbench.testing.subject import Subject
from vqbench.worker.objective import RESERVED

__all__ = ["TRAINING_CHECKS"]

DRAWS, TIMES = 4, 4
SAME = 0.35
"""Relative difference of losses that noise and running averages may make; a wrong reduction makes a factor of 4."""


@check(
    protects="An encoder that gets no gradient, or NaN, learns nothing.",
    fix="Pass the gradient on with vqbench.straight_through(latents, value), and guard square roots, logarithms and divisions.",
)
def gradient_reaches_the_encoder(subject: Subject) -> None:
    for quantizer in trained(subject):
        for scale in (1.0, 0.0):
            for latents in latents_of(quantizer, scale):
                leaf = latents.requires_grad_()
                quantized = quantizer(leaf)
                expect(quantized.value.requires_grad, "the value in training carries no gradient")
                (gradient,) = torch.autograd.grad(loss_of(quantized), leaf, allow_unused=True)
                expect(gradient is not None, "no gradient reaches the latents")
                expect(
                    bool(torch.isfinite(gradient).all()), f"the gradient at latents of scale {scale:g} is not finite"
                )
                if scale:
                    leaf = latents.detach().requires_grad_()
                    weights = torch.randn_like(quantized.value)
                    (gradient,) = torch.autograd.grad((quantizer(leaf).value * weights).sum(), leaf, allow_unused=True)
                    expect(gradient is not None, "the value passes no gradient to the latents")
                    without = gradient.abs().amax(dim=(1, 2, 3)) == 0
                    expect(
                        not without.any(), "the value passes no gradient to an image", got=without.nonzero().flatten()
                    )


@check(
    protects="A parameter that no loss reaches, or no optimiser has, stays as it started.",
    fix="List each trainable parameter once in parameter_groups(); make a buffer of what is not trained, and let no forward "
    "pass write to a parameter.",
)
def every_parameter_is_trained(subject: Subject) -> None:
    quantizers = trained(subject)
    if not any(p.requires_grad for quantizer in quantizers for p in quantizer.parameters()):
        raise NotApplicable("it has no parameters")
    for quantizer in quantizers:
        own = {id(p): name for name, p in quantizer.named_parameters() if p.requires_grad}
        listed = [id(p) for group in quantizer.parameter_groups() for p in group.parameters]
        lacking = [name for key, name in own.items() if listed.count(key) != 1]
        expect(not lacking, "parameter_groups() does not list each parameter once", got=", ".join(lacking))
        expect(set(listed) <= own.keys(), "parameter_groups() lists what is no trainable parameter of it")
        before = {name: p.detach().clone() for name, p in quantizer.named_parameters()}
        quantizer(next(latents_of(quantizer)))
        written = [name for name, p in quantizer.named_parameters() if not torch.equal(p, before[name])]
        expect(not written, "a forward pass writes to parameters", got=", ".join(written), expected="buffers")
        reached: set[str] = set()
        for step in range(3):  # what starts at zero gets its gradient after the first step
            train(quantizer, [step], total=3)
            for name, parameter in quantizer.named_parameters():
                if parameter.grad is not None:
                    expect(bool(torch.isfinite(parameter.grad).all()), f"the gradient of {name} is not finite")
                    reached |= {name} if parameter.grad.any() else set()
        missed = sorted(set(own.values()) - reached)
        expect(not missed, "no gradient reaches parameters", got=", ".join(missed), expected="all in three steps")


@check(
    protects="One objective adds up the losses of all methods: it has to know them by name and unit, and NaN stops a run.",
    fix="Leave Loss(value=scalar, unit='image_sum' or 'element_mean'); clamp what you exponentiate and guard what you divide by.",
)
def losses_are_finite_named_and_in_a_declared_unit(subject: Subject) -> None:
    for quantizer in trained(subject):
        for scale in (1.0, 0.0, 1e4):
            for latents in latents_of(quantizer, scale):
                for name, loss in quantizer(latents).losses.items():
                    named = isinstance(name, str) and name and name not in RESERVED
                    expect(
                        named,
                        "a loss has no name of its own",
                        got=repr(name),
                        expected="none of " + ", ".join(RESERVED),
                    )
                    expect(loss.unit in ("image_sum", "element_mean"), f"{name} is in no known unit", got=loss.unit)
                    scalar = isinstance(loss.value, Tensor) and loss.value.ndim == 0
                    expect(scalar, f"{name} is no scalar tensor", got=getattr(loss.value, "shape", loss.value))
                    finite = bool(torch.isfinite(loss.value)) and math.isfinite(loss.weight)
                    got = f"{float(loss.value.detach())} with weight {loss.weight}"
                    expect(finite, f"{name} is not finite for latents of scale {scale:g}", got=got)


@check(
    protects="Losses in a wrong unit weigh other than the method's paper says, and otherwise with every batch and image size.",
    fix="Average over the batch. Sum an image_sum over positions and channels; average an element_mean over all elements.",
)
def losses_do_not_change_when_the_batch_is_repeated(subject: Subject) -> None:
    """Four times the images change no loss; four times the positions only an image_sum, by that factor."""
    seen = False
    for quantizer in trained(subject):
        latents = torch.randn(4, quantizer.latent_channels, 6, 6)
        units = {name: loss.unit for name, loss in deepcopy(quantizer)(latents).losses.items()}
        once = _losses(quantizer, latents)
        repeated = _losses(quantizer, latents.repeat(TIMES, 1, 1, 1))
        tiled = _losses(quantizer, latents.repeat(1, 1, TIMES, 1))
        for name, unit in units.items():
            seen = True
            _expect_same(f"{name} changes when the batch is repeated", repeated[name], once[name])
            factor = TIMES if unit == "image_sum" else 1
            _expect_same(f"{name} is no {unit}: at {TIMES} times the positions", tiled[name], factor * once[name])
    if not seen:
        raise NotApplicable("it leaves no losses")


@torch.no_grad()
def _losses(quantizer: Quantizer, latents: Tensor) -> dict[str, Tensor]:
    """Each loss in several draws of the method's noise, ``(DRAWS,)``, all from the same state."""
    drawn = [deepcopy(quantizer)(latents).losses for _ in range(DRAWS)]
    return {name: torch.stack([losses[name].value.double() for losses in drawn]) for name in drawn[0]}


def _expect_same(what: str, got: Tensor, expected: Tensor) -> None:
    """Fail if the means of draws differ by more than their noise and :data:`SAME`."""
    noise = 4 * float((got.var() + expected.var()) / DRAWS) ** 0.5
    largest = max(abs(float(got.mean())), abs(float(expected.mean())))
    difference = abs(float(got.mean() - expected.mean()))
    expect(difference <= SAME * largest + noise, what, got=f"{got.mean():.4g}", expected=f"{expected.mean():.4g}")


TRAINING_CHECKS: tuple[Check, ...] = (
    gradient_reaches_the_encoder,
    every_parameter_is_trained,
    losses_are_finite_named_and_in_a_declared_unit,
    losses_do_not_change_when_the_batch_is_repeated,
)
