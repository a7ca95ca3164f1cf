"""Numbers measured on originals and reconstructions."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from vqbench.intervals import BOOTSTRAP

__all__ = ["EvaluationBatch", "EvaluationContext", "Measurement", "Metric", "PerImageMetric"]

Computed = TypeVar("Computed")


@dataclass(frozen=True, kw_only=True)
class _Sharing:
    """Keeps what one metric computed for the others."""

    _shared: dict[Hashable, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def once(self, key: Hashable, compute: Callable[[], Computed]) -> Computed:
        """What ``compute`` gives, computed by the first metric that asks this object for ``key`` and shared by all others."""
        if key not in self._shared:
            self._shared[key] = compute()
        shared: Computed = self._shared[key]
        return shared


@dataclass(frozen=True, kw_only=True)
class EvaluationContext(_Sharing):
    """What is known of an evaluation before its first batch; ``once`` shares a thing for all of the evaluation (a network).

    Attributes:
        images: identifies the test images, in order and as preprocessed: equal for equal pixels.
        count: how many there are.
        device: where the batches are.
        cache: a folder for what can be kept from one evaluation to the next; it may not exist yet.
    """

    images: str
    count: int
    device: torch.device
    cache: Path


@dataclass(frozen=True, kw_only=True)
class EvaluationBatch(_Sharing):
    """Originals and their reconstructions, in the two domains that metrics are defined on; ``once`` shares what is made of them.

    ``originals`` and ``reconstructions`` are float32 ``(B, 3, H, W)``, the originals in [0, 1], the reconstructions as decoded
    (not clamped). ``originals_uint8`` and ``reconstructions_uint8`` are clamped to [0, 1] and rounded to the nearest of 256
    levels.
    """

    originals: Tensor
    reconstructions: Tensor
    originals_uint8: Tensor
    reconstructions_uint8: Tensor


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """A measured number with its 95 % interval.

    ``value`` is None, with a ``reason``, where it could not be measured. ``low`` and ``high`` are None where no interval is
    defined; ``interval`` says which kind it is (:mod:`vqbench.intervals` names those in use). ``n`` is the number of independent
    things it was measured on. ``unavailable`` says that what it lacked may come later (weights, say): a later run asks again.
    ``caution`` says why to distrust a value that is there; boards flag it. ``details`` are what the record keeps of how it was
    measured (library, weights), by name. ``samples`` are repeated measurements behind a speed, in its unit.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    interval: str | None = None
    n: int = 0
    reason: str | None = None
    unavailable: bool = False
    caution: str | None = None
    details: Mapping[str, str] = field(default_factory=dict)
    samples: tuple[float, ...] = ()


class Metric(ABC):
    """Accumulates over the whole test set, then computes one number.

    One that raises, or returns something else than it should, gets no more batches: its number is null with that reason.
    """

    def prepare(self, context: EvaluationContext) -> None:  # noqa: B027 (a metric need not)
        """Called once, before the first batch; by default there is nothing to do.

        Raises:
            UnavailableError: something the metric needs is not here: its number is null with this reason, and it is given
                no batch.
        """

    @abstractmethod
    def update(self, batch: EvaluationBatch) -> None:
        """Take in one batch."""

    @abstractmethod
    def compute(self) -> Measurement:
        """The number over everything taken in."""

    def values(self) -> Tensor | None:
        """Values whose mean the number is, one per image in order, float64 ``(N,)``; None where there are none.

        They are each image's own, or, of a number made of all images together, the jackknife's pseudo-values: cells are
        compared image by image with them. Asked for after :meth:`compute`.
        """
        return None


class PerImageMetric(Metric):
    """A metric that has a value for each image: the mean over images, with the bootstrap interval of that mean."""

    def __init__(self) -> None:
        self._values: list[Tensor] = []

    @abstractmethod
    def per_image(self, batch: EvaluationBatch) -> Tensor:
        """One value per image, ``(B,)``."""

    def update(self, batch: EvaluationBatch) -> None:
        self._values.append(self.per_image(batch).detach().double().cpu())

    def values(self) -> Tensor | None:
        return torch.cat(self._values) if self._values else None

    def compute(self) -> Measurement:
        if not self._values:
            return Measurement(value=None, reason="no images were evaluated")
        values = torch.cat(self._values)
        n, mean = len(values), values.mean().item()
        if not math.isfinite(mean):
            return Measurement(value=None, n=n, reason=f"the mean over images is {mean}")
        if n < 2:
            return Measurement(value=mean, n=n)
        from vqbench.bootstrap import mean_interval

        low, high = mean_interval(values.numpy())
        return Measurement(value=mean, low=low, high=high, interval=BOOTSTRAP, n=n)
