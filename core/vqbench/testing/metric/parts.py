"""What checks of metrics work on: small images with structure, reconstructions of them, and what is measured on these."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional as F

from vqbench.catalog import Entry
from vqbench.errors import UnavailableError
from vqbench.interfaces import EvaluationContext, Measurement, Metric
from vqbench.specs import MetricSpec
from vqbench.testing.check import NotApplicable
from vqbench.testing.subject import Subject
from vqbench.worker.pixels import evaluation_batch

__all__ = ["COUNT", "Measured", "close", "measure", "noisy", "originals", "prepared", "spec_of", "worth"]

COUNT = 6
"""Images: enough for batches of unequal sizes, and for metrics of a few nearest neighbours."""
SIDE = 176
"""Pixels: metrics of several scales need about that many."""
ROUNDING = 1e-5
"""Largest relative difference between batches of other sizes: a network of float32 adds up in another order."""
ABSOLUTE_ROUNDING = 1e-7
"""And the absolute one: what is left of two means of images that are nearly equal has their error, of float32 numbers up to 1."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What a metric said of some images: its number, and its values of each image where it has them."""

    number: Measurement
    values: Tensor | None


def originals() -> Tensor:
    """Smooth random images ``(COUNT, 3, SIDE, SIDE)`` in [0, 1], with coarse and fine structure and full contrast."""
    image = torch.zeros(COUNT, 3, SIDE, SIDE)
    for cells in (4, 16, 64):
        grid = torch.rand(COUNT, 3, cells, cells)
        image += F.interpolate(grid, (SIDE, SIDE), mode="bicubic", align_corners=False) / cells**0.5
    low, high = image.amin((1, 2, 3), keepdim=True), image.amax((1, 2, 3), keepdim=True)
    return (image - low) / (high - low)


def noisy(images: Tensor, strength: float) -> Tensor:
    """Images in [0, 1] with noise, the later ones with more: up to ``strength`` of the range."""
    each = strength * torch.linspace(0.4, 1.0, len(images)).view(-1, 1, 1, 1)
    return (images + each * torch.randn_like(images)).clamp(0, 1)


def spec_of(subject: Subject) -> MetricSpec:
    """The metric's descriptor."""
    return cast(MetricSpec, subject.entry.spec)


@contextlib.contextmanager
def prepared(subject: Subject, count: int = COUNT) -> Iterator[Metric]:
    """A new instance, prepared for so many images as an evaluation does, with an empty cache.

    Raises:
        NotApplicable: what it needs is not on this machine.
    """
    cls = subject.catalog.load_target(cast(Entry, subject.entry))
    metric: Metric = cls(**subject.parameters)  # type: ignore[operator]
    with tempfile.TemporaryDirectory(prefix="vqbench-check-") as folder:
        context = EvaluationContext(images="check", count=count, device=torch.device("cpu"), cache=Path(folder))
        try:
            metric.prepare(context)
        except UnavailableError as error:
            raise NotApplicable(str(error)) from error
        yield metric


def measure(
    subject: Subject,
    images: Tensor,
    reconstructions: Tensor,
    sizes: Sequence[int] = (COUNT,),
    *,
    between: Callable[[], object] = lambda: None,
) -> Measured:
    """What a new instance measures on batches of these sizes, over and over; ``between`` is called after each.

    Raises:
        NotApplicable: what it needs is not on this machine.
    """
    with prepared(subject, len(images)) as metric:
        start, turns = 0, cycle(sizes)
        while start < len(images):
            part = slice(start, start + next(turns))
            metric.update(evaluation_batch(images[part], reconstructions[part]))
            between()
            start = part.stop
        return Measured(number=metric.compute(), values=metric.values())


def worth(subject: Subject, measured: Measured) -> float:
    """The number, turned so that more is better.

    Raises:
        NotApplicable: there is none, for the reason that the metric gives.
    """
    value = measured.number.value
    if value is None:
        raise NotApplicable(f"no number: {measured.number.reason}")
    return value if spec_of(subject).better == "higher" else -value


def close(one: float | None, other: float | None) -> bool:
    """Whether two numbers are equal but for rounding, or both are none."""
    if one is None or other is None:
        return one is other
    return abs(one - other) <= max(ROUNDING * max(abs(one), abs(other)), ABSOLUTE_ROUNDING)
