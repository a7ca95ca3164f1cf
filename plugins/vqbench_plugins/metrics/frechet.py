"""Fréchet distances between the features of originals and reconstructions (Heusel et al., arXiv 1706.08500)."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from vqbench.interfaces import Measurement
from vqbench_plugins.metrics.extractors import AlexNet256, InceptionPool3
from vqbench_plugins.metrics.features import FeatureMetric, FeaturePair

__all__ = ["RFID", "FDAlex256", "FrechetDistance"]


class FrechetDistance(FeatureMetric):
    """``|μ₁ − μ₂|² + Tr(Σ₁ + Σ₂ − 2 (Σ₁ Σ₂)^½)`` of the features' means and sample covariances, by torch-fidelity.

    Biased upwards, the more so the fewer the images; below D images the covariances are singular, and the number carries a
    caution. A numerical error may make it slightly negative for equal images.
    """

    unbiased: ClassVar[str]
    """The metric to prefer then."""

    def measure(self, features: FeaturePair) -> Measurement:
        from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric

        ours, theirs = (fid_features_to_statistics(part) for part in (features.reconstructions, features.originals))
        try:
            value = fid_statistics_to_metric(ours, theirs, verbose=False)[KEY_METRIC_FID]
        except np.linalg.LinAlgError as error:
            return Measurement(value=None, reason=f"the root of the covariances' product: {error}")
        dimension = features.extractor.dimension
        caution = f"{features.count} images < {dimension} features: biased upwards; prefer {self.unbiased}"
        return Measurement(value=value, caution=caution if features.count < dimension else None)


class RFID(FrechetDistance):
    """rFID: the FID of torch-fidelity between reconstructions and the same preprocessed originals."""

    extractor, unbiased = InceptionPool3, "kid"


class FDAlex256(FrechetDistance):
    """The same distance on AlexNet's features: not an FID."""

    extractor, unbiased = AlexNet256, "kid_alex256"
