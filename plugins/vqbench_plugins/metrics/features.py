"""Features of all originals and reconstructions of an evaluation, computed once for all metrics that compare them."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import replace
from importlib import import_module
from importlib.metadata import version
from typing import ClassVar, TypeVar

import torch
from torch import Tensor

from vqbench.errors import CheckpointError, UnavailableError
from vqbench.interfaces import EvaluationBatch, EvaluationContext, Measurement, Metric
from vqbench.intervals import JACKKNIFE, student_half_width
from vqbench_plugins.metrics.extractors import Extractor
from vqbench_plugins.metrics.feature_cache import DAMAGED, FeatureCache

__all__ = ["FeatureMetric", "FeaturePair"]

Computed = TypeVar("Computed")


class FeaturePair:
    """Features of originals and reconstructions: float32 ``(N, D)`` each, on the CPU; images are not kept.

    Those of the originals come from the cache where it has them, and go there otherwise.

    Args:
        extractor: what computes them.
        context: the evaluation's.
    """

    def __init__(self, extractor: Extractor, context: EvaluationContext) -> None:
        self.extractor, self.context = extractor, context
        self.count = 0
        """N, images taken in so far."""
        self.too_small: str | None = None
        """Why there are no features, where the images are too small for the network."""
        located = extractor.located
        self.details = {
            "library": f"torch-fidelity {version('torch-fidelity')}",
            "features": extractor.name,
            "resize": extractor.resize,
            "images": str(context.count),
        } | located.details
        content = {
            "images": context.images,
            "extractor": extractor.name,
            "weights": located.sha256,
            "library": self.details["library"],
            "device": context.device.type,
        }
        self._cache = FeatureCache(context.cache / "features", content)
        shape = (context.count, extractor.dimension)
        self._reconstructions = torch.empty(shape)
        try:
            cached = self._cache.read(shape)
        except CheckpointError:
            cached, self.details["cache"] = None, DAMAGED
        self._originals = torch.empty(shape) if cached is None else cached
        self._is_cached = cached is not None

    @property
    def originals(self) -> Tensor:
        """Features of the originals, ``(N, D)``."""
        return self._originals[: self.count]

    @property
    def reconstructions(self) -> Tensor:
        """Features of the reconstructions, ``(N, D)``, in the same order."""
        return self._reconstructions[: self.count]

    def update(self, batch: EvaluationBatch) -> None:
        """Take in a batch, once, however many metrics hand it over."""
        batch.once(self, lambda: self._take_in(batch))

    def _take_in(self, batch: EvaluationBatch) -> None:
        height, width = batch.originals.shape[-2:]
        place = slice(self.count, self.count + len(batch.originals))
        self.count = place.stop
        least = self.extractor.smallest
        if min(height, width) < least:
            self.too_small = (
                f"images of {height} x {width} pixels are smaller than the {least} x {least} of its network"
            )
            return
        self._reconstructions[place] = self.extractor(batch.reconstructions_uint8)
        if self._is_cached:
            return
        self._originals[place] = self.extractor(batch.originals_uint8)
        if self.count == self.context.count and not self.too_small:
            self._cache.write(self._originals)


class FeatureMetric(Metric):
    """A number made of the features of all images; subclasses name the ``extractor`` and say what is computed."""

    extractor: ClassVar[type[Extractor]]
    least: ClassVar[int] = 2
    """Fewest images that it is defined for."""

    def __init__(self) -> None:
        self._features: FeaturePair | None = None
        self._values: Tensor | None = None

    @abstractmethod
    def measure(self, features: FeaturePair) -> Measurement:
        """The number, of ``least`` images or more; ``details`` beyond those of the features."""

    def influences(self, features: FeaturePair) -> Tensor | None:
        """By how much each image moves the number, times N: float64 ``(N,)``, of sum zero; None where that is not known.

        An image is its original and its reconstruction together. The mean of their squares over N is the number's sampling
        variance (jackknife).
        """
        return None

    def interval(self, value: float, influences: Tensor) -> tuple[float, float]:
        """The 95 % interval of the number over samples of as many images: Student's, of the influences."""
        half = student_half_width(influences.std().item(), len(influences))
        return value - half, value + half

    def prepare(self, context: EvaluationContext) -> None:
        _import_torch_fidelity()
        extractor = self.extractor
        self._features = context.once((FeaturePair, extractor), lambda: FeaturePair(extractor(context.device), context))

    def update(self, batch: EvaluationBatch) -> None:
        if self._features is None:
            raise RuntimeError(f"{type(self).__name__} is given images before it was prepared")
        self._features.update(batch)

    def compute(self) -> Measurement:
        features = self._features
        if features is None or not features.count:
            return Measurement(value=None, reason="no images were evaluated")
        n = features.count
        if features.too_small:
            return Measurement(value=None, n=n, reason=features.too_small, details=features.details)
        if n < self.least:
            reason = f"it needs {self.least} images or more, and there are {n}"
            return Measurement(value=None, n=n, reason=reason, details=features.details)
        measured = self.measure(features)
        details = features.details | dict(measured.details)
        if measured.value is not None and not math.isfinite(measured.value):
            return Measurement(value=None, n=n, reason=f"it is {measured.value}", details=details)
        measured = replace(measured, n=n, details=details)
        influences = None if measured.value is None else self.influences(features)
        if measured.value is None or influences is None:
            return measured
        self._values = measured.value + influences
        low, high = self.interval(measured.value, influences)
        return replace(measured, low=low, high=high, interval=JACKKNIFE)

    def values(self) -> Tensor | None:
        """The jackknife's pseudo-values, whose mean the number is: its value plus each image's influence."""
        return self._values


def _import_torch_fidelity() -> None:
    """See that it is whole: a torchvision built for another torch, which it imports, makes the numbers null and nothing else."""
    try:
        import_module("torch_fidelity")
    except Exception as error:
        raise UnavailableError(
            "torch-fidelity cannot be imported",
            got=f"{type(error).__name__}: {error}",
            hint="`vqbench doctor` says what is wrong with the installation.",
        ) from error
