"""Checks of quantizers on a backbone: a small tokenizer that trains, encodes and decodes."""

from __future__ import annotations

import contextlib

import torch
from torch import Tensor
from torch.nn import functional as F

from vqbench.catalog import Entry, resolve_parameters
from vqbench.errors import VQBenchError
from vqbench.interfaces import StepClock
from vqbench.plan import Cell, Recipe, build_plan
from vqbench.plan.suite import parse_suite
from vqbench.specs import DatasetSpec
from vqbench.testing.check import Check, NotApplicable, check, expect
from vqbench.testing.quantizer.parts import plans_of
from vqbench.testing.subject import Subject
from vqbench.worker.build import build_tokenizer, convert
from vqbench.worker.objective import Objective
from vqbench.worker.optimizer import make_optimizer, set_learning_rate
from vqbench.worker.tokenizer import Tokenizer

__all__ = ["TOKENIZER_CHECKS"]

STRIDE, STEPS = 4, 30


@check(
    protects="Codes alone must bring back the reconstruction that was evaluated.",
    fix="Look at eval_value_is_decode_of_codes first; of several levels each must decode for itself.",
)
@torch.no_grad()
def a_tokenizer_decodes_its_own_codes(subject: Subject) -> None:
    if any(not level.codebook_sizes for level in plans_of(subject)):
        raise NotApplicable("a continuous latent has no codes")
    cell = _cell(subject)
    tokenizer, images = _converted(build_tokenizer(cell.unit, subject.catalog), cell, subject), _images(cell)
    decoded = tokenizer.decode(tokenizer.encode(images))
    expect(torch.equal(decoded, tokenizer(images).reconstructions), "codes decode to another image than was evaluated")


@check(
    protects="In mixed precision the backbone's latents are bfloat16; codes must still be those of float32 arithmetic.",
    fix="Compute in the latents' float32, and switch no autocast on.",
)
@torch.no_grad()
def autocast_gives_the_codes_of_float32(subject: Subject) -> None:
    cell = _cell(subject)
    tokenizer, images = _converted(build_tokenizer(cell.unit, subject.catalog), cell, subject), _images(cell)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        quantized = tokenizer(images).quantized
        latents = tokenizer.latents(images)
    for quantizer, of_level, got in zip(tokenizer.quantizers, latents, quantized, strict=True):
        expected = quantizer(of_level)
        expect(got.value.dtype == torch.float32, "under autocast the value is not float32", got=got.value.dtype)
        same = torch.equal(got.codes, expected.codes) and torch.equal(got.value, expected.value)
        expect(same, "under autocast the same latents evaluate otherwise")


@check(
    protects="Parts that pass on their own may not train together.",
    fix="Look at the failures above first; then at losses that outweigh the reconstruction, and at the objective you declare.",
)
def it_trains(subject: Subject) -> None:
    cell = _cell(subject)
    recipe, images = Recipe.model_validate(dict(cell.unit.recipe)), _images(cell)
    tokenizer = build_tokenizer(cell.unit, subject.catalog).train()
    objective = Objective(recipe, cell.unit.objective)
    optimizer = make_optimizer(tokenizer.parameter_groups(), recipe)
    errors = []
    for step in range(recipe.steps):
        tokenizer.on_step(StepClock(step=step, total=recipe.steps))
        output = tokenizer(images)
        value = objective(images, output)
        set_learning_rate(optimizer, recipe, step)
        optimizer.zero_grad()
        value.total.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        expect(bool(torch.isfinite(value.total)), f"the loss of step {step} is not finite", got=value.terms)
        errors.append(float((output.reconstructions.detach() - images).square().mean()))
    with torch.no_grad():
        after = (_converted(tokenizer, cell, subject)(images).reconstructions - images).square().mean()
    expect(errors[-1] < 0.8 * errors[0], "training hardly lowers the error", got=f"{errors[0]:.4g} to {errors[-1]:.4g}")
    expect(
        float(after) < errors[0],
        "evaluation is worse than before training",
        got=float(after),
        expected=f"< {errors[0]:.4g}",
    )


def _cell(subject: Subject) -> Cell:
    """The component on a tiny backbone, planned as in a suite.

    Raises:
        NotApplicable: no plugin has a backbone with a preset ``tiny``, or a dataset that is here.
    """
    side = 4 * STRIDE * max(level.relative_stride for level in plans_of(subject))
    document = {
        "schema": 1,
        "name": "check",
        "stride": STRIDE,
        "data": {"name": _dataset(subject, side), "image_size": side},
        "quantizers": [{"name": subject.entry.id, "params": dict(subject.given)}],
        "backbones": [{"name": _backbone(subject), "preset": "tiny"}],
        "recipe": {"steps": STEPS, "batch_size": 4, "lr": 3e-3, "reconstruction": "mse", "precision": "fp32"},
    }
    [cell] = build_plan(parse_suite(document, source="check"), subject.catalog).cells
    return cell


def _backbone(subject: Subject) -> str:
    for entry in subject.catalog.entries("backbone"):
        if isinstance(entry, Entry) and "tiny" in entry.spec.presets:
            return entry.id
    raise NotApplicable("no plugin that is loaded has a backbone with a preset 'tiny'")


def _dataset(subject: Subject, side: int) -> str:
    """A dataset that is here; a plan names one, though nothing of it is read."""
    for entry in subject.catalog.entries("dataset"):
        assert isinstance(entry, Entry)
        assert isinstance(entry.spec, DatasetSpec)
        if entry.spec.image_sizes is None or side in entry.spec.image_sizes:
            with contextlib.suppress(VQBenchError):
                entry.spec.revision(resolve_parameters(entry.spec))
                return entry.id
    raise NotApplicable("no dataset of a plugin that is loaded is here")


def _images(cell: Cell) -> Tensor:
    """Smooth random images ``(4, 3, H, W)``."""
    return F.interpolate(torch.rand(4, 3, 4, 4), size=(cell.unit.image_size,) * 2, mode="bilinear")


def _converted(tokenizer: Tokenizer, cell: Cell, subject: Subject) -> Tokenizer:
    """As a run evaluates it: converted where it converts, calibrated, in evaluation mode."""
    tokenizer = convert(tokenizer, cell, subject.catalog)
    tokenizer.fit([_images(cell) for _ in range(4)])
    return tokenizer.eval()


TOKENIZER_CHECKS: tuple[Check, ...] = (
    a_tokenizer_decodes_its_own_codes,
    autocast_gives_the_codes_of_float32,
    it_trains,
)
