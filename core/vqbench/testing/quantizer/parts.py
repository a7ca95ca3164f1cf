"""What checks of quantizers work on: the quantizers of all levels, latents for them, and a few steps of training."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import torch
from torch import Tensor

from vqbench.catalog import Entry
from vqbench.interfaces import Quantized, Quantizer, StepClock
from vqbench.specs import LevelPlan, QuantizerSpec
from vqbench.testing.check import NotApplicable, expect
from vqbench.testing.subject import Subject

__all__ = [
    "changed_names",
    "discrete",
    "evaluated",
    "latents_of",
    "loss_of",
    "many_latents",
    "plans_of",
    "quantizers_of",
    "spec_of",
    "train",
    "trained",
    "trains_as",
]

SHAPES = ((3, 2, 5), (1, 4, 3))
"""Batch, height and width of latents: odd, not square, and a single image."""
PRODUCTS = 1 << 31
"""Most products that scores of all positions and codewords may take: less than a second of work."""
LEARNING_RATE = 1e-3


def spec_of(subject: Subject) -> QuantizerSpec:
    """The descriptor."""
    assert isinstance(subject.entry, Entry)
    assert isinstance(subject.entry.spec, QuantizerSpec)
    return subject.entry.spec


def plans_of(subject: Subject) -> tuple[LevelPlan, ...]:
    """The levels as the descriptor announces them, coarse to fine."""
    return tuple(spec_of(subject).levels(subject.parameters))


def trains_as(subject: Subject) -> Subject | None:
    """What is trained in the component's place; None for itself."""
    announced = spec_of(subject).trains_as
    other = None if announced is None else announced(subject.parameters)
    if other is None:
        return None
    entry = subject.catalog.get("quantizer", other.quantizer)
    return Subject(entry=entry, catalog=subject.catalog, given=other.parameters)


def quantizers_of(subject: Subject) -> list[Quantizer]:
    """A new quantizer for each level, coarse to fine, in training mode, as a run would build it.

    Raises:
        CheckFailure: one is not what its descriptor announced.
    """
    entry = subject.entry
    assert isinstance(entry, Entry)
    built = []
    for index, level in enumerate(plans_of(subject)):
        cls = subject.catalog.load_target(entry if level.target is None else level.target)
        quantizer = cls(**level.arguments)  # type: ignore[operator]
        for name in ("latent_channels", "code_channels", "codebook_sizes"):
            announced, has = getattr(level, name), getattr(quantizer, name, None)
            expect(has == announced, f"level {index} has another {name} than announced", got=has, expected=announced)
        built.append(quantizer.train())
    return built


def trained(subject: Subject) -> list[Quantizer]:
    """The quantizers of a method that is trained itself, in training mode.

    Raises:
        NotApplicable: another one is trained in its place.
    """
    if (other := trains_as(subject)) is not None:
        raise NotApplicable(f"{other.entry.id} is trained in its place")
    return quantizers_of(subject)


def evaluated(subject: Subject) -> list[Quantizer]:
    """The quantizers in evaluation mode, calibrated on normal latents."""
    quantizers = quantizers_of(subject)
    for quantizer in quantizers:
        with torch.no_grad():
            quantizer.eval().fit([torch.randn(4, quantizer.latent_channels, 16, 16) for _ in range(4)])
    return quantizers


def discrete(subject: Subject) -> list[Quantizer]:
    """The quantizers of a method whose latents all have codes, as :func:`evaluated`.

    Raises:
        NotApplicable: it has a continuous latent.
    """
    if any(not level.codebook_sizes for level in plans_of(subject)):
        raise NotApplicable("a continuous latent has no codes")
    return evaluated(subject)


def latents_of(quantizer: Quantizer, scale: float = 1.0) -> Iterator[Tensor]:
    """Normal latents ``(B, latent_channels, h, w)`` of each of the shapes that are looked at."""
    for batch, height, width in SHAPES:
        yield scale * torch.randn(batch, quantizer.latent_channels, height, width)


def many_latents(quantizer: Quantizer, positions: int, least: int = 128) -> Tensor:
    """Normal latents ``(15, latent_channels, h, 7)`` of so many positions, or fewer where codebooks are very large.

    Odd sizes, so that a search in blocks of whatever size has a last one that is not full.
    """
    most = max(PRODUCTS // (max(sum(quantizer.codebook_sizes), 1) * quantizer.latent_channels), least)
    return torch.randn(15, quantizer.latent_channels, min(positions, most) // 105, 7)


def train(quantizer: Quantizer, steps: Iterable[int], total: int) -> Quantized:
    """Plain gradient steps on normal latents, each under a seed of its own as in a run; what the last step left.

    The loss is a random weighing of the value, in place of a decoder, plus the quantizer's own losses.
    """
    for step in steps:
        torch.manual_seed(step)
        quantizer.on_step(StepClock(step=step, total=total))
        latents = torch.randn(4, quantizer.latent_channels, 6, 6, requires_grad=True)
        quantized: Quantized = quantizer(latents)
        quantizer.zero_grad()
        loss_of(quantized).backward()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            for parameter in quantizer.parameters():
                if parameter.grad is not None:
                    parameter.sub_(parameter.grad.sign(), alpha=LEARNING_RATE)
    return quantized


def loss_of(quantized: Quantized) -> Tensor:
    """A scalar to differentiate: all losses, and the value under fixed random weights."""
    weights = torch.randn(quantized.value.shape, generator=torch.Generator().manual_seed(0)).to(quantized.value)
    own = [loss.weight * loss.value for loss in quantized.losses.values()]
    return (quantized.value * weights).mean() + sum(own)


def changed_names(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> str:
    """Names of tensors that are in one state only, or are not bit for bit the same in both; empty if there are none."""
    both = before.keys() & after.keys()
    changed = {name for name in both if not _same(before[name], after[name])}
    return ", ".join(sorted(changed | (before.keys() ^ after.keys())))


def _same(left: Tensor, right: Tensor) -> bool:
    """Whether two tensors are equal, NaN being equal to itself."""
    return left.shape == right.shape and bool((left == right).logical_or(left.isnan() & right.isnan()).all())
