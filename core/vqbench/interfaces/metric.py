"""Numbers measured on originals and reconstructions."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["EvaluationBatch", "Measurement", "Metric", "PerImageMetric"]


@dataclass(frozen=True, kw_only=True)
class EvaluationBatch:
    """Originals and their reconstructions, in the two domains that metrics are defined on.

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
    defined. ``n`` is the number of independent things it was measured on.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    reason: str | None = None


class Metric(ABC):
    """Accumulates over the whole test set, then computes one number."""

    @abstractmethod
    def update(self, batch: EvaluationBatch) -> None:
        """Take in one batch."""

    @abstractmethod
    def compute(self) -> Measurement:
        """The number over everything taken in."""


class PerImageMetric(Metric):
    """A metric that has a value for each image: the mean over images, with Student's interval of that mean."""

    def __init__(self) -> None:
        self._values: list[Tensor] = []

    @abstractmethod
    def per_image(self, batch: EvaluationBatch) -> Tensor:
        """One value per image, ``(B,)``."""

    def update(self, batch: EvaluationBatch) -> None:
        self._values.append(self.per_image(batch).detach().double().cpu())

    def compute(self) -> Measurement:
        if not self._values:
            return Measurement(value=None, reason="no images were evaluated")
        values = torch.cat(self._values)
        n, mean = len(values), values.mean().item()
        if not math.isfinite(mean):
            return Measurement(value=None, n=n, reason=f"the mean over images is {mean}")
        if n < 2:
            return Measurement(value=mean, n=n)
        from vqbench.intervals import student_half_width

        half = student_half_width(values.std().item(), n)
        return Measurement(value=mean, low=mean - half, high=mean + half, n=n)
