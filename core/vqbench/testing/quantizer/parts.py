"""What checks of quantizers work on: the quantizers of all levels, latents for them, and whole tokenizers."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from vqbench.catalog import Entry
from vqbench.interfaces import Quantizer
from vqbench.specs import QuantizerSpec
from vqbench.testing.check import NotApplicable, expect
from vqbench.testing.subject import Subject

__all__ = ["discrete", "latents_of", "quantizers_of"]

SHAPES = ((3, 2, 5), (1, 4, 3))
"""Batch, height and width of latents: odd, not square, and a single image."""


def quantizers_of(subject: Subject) -> list[Quantizer]:
    """A new quantizer for each level, coarse to fine, in training mode, as a run would build it.

    Raises:
        CheckFailure: one is not what its descriptor announced.
    """
    entry = subject.entry
    assert isinstance(entry, Entry)
    assert isinstance(entry.spec, QuantizerSpec)
    built = []
    for index, level in enumerate(entry.spec.levels(subject.parameters)):
        cls = subject.catalog.load_target(entry if level.target is None else level.target)
        quantizer = cls(**level.arguments)  # type: ignore[operator]
        for name in ("latent_channels", "code_channels", "codebook_sizes"):
            announced, has = getattr(level, name), getattr(quantizer, name, None)
            expect(has == announced, f"level {index} has another {name} than announced", got=has, expected=announced)
        built.append(quantizer.train())
    return built


def discrete(subject: Subject) -> list[Quantizer]:
    """The quantizers of a method whose latents all have codes, in evaluation mode.

    Raises:
        NotApplicable: it has a continuous latent.
    """
    quantizers = quantizers_of(subject)
    if any(not quantizer.codebook_sizes for quantizer in quantizers):
        raise NotApplicable("a continuous latent has no codes")
    return [quantizer.eval() for quantizer in quantizers]


def latents_of(quantizer: Quantizer, scale: float = 1.0) -> Iterator[Tensor]:
    """Normal latents ``(B, latent_channels, h, w)`` of each of the shapes that are looked at."""
    for batch, height, width in SHAPES:
        yield scale * torch.randn(batch, quantizer.latent_channels, height, width)
