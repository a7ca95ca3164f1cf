"""Fréchet distances between the features of originals and reconstructions (Heusel et al., arXiv 1706.08500)."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from vqbench.interfaces import Measurement
from vqbench_plugins.metrics.extractors import AlexNet256, InceptionPool3
from vqbench_plugins.metrics.features import FeatureMetric, FeaturePair

__all__ = ["RFID", "FDAlex256", "FrechetDistance", "frechet_influences"]

ROWS = 2000
"""Of features that are in memory at once in float64: 33 MB for Inception's."""


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

    def influences(self, features: FeaturePair) -> Tensor | None:
        """Those of :func:`frechet_influences`; None below D images, whose covariances say nothing of directions not seen."""
        if features.count < features.extractor.dimension:
            return None
        return frechet_influences(features.reconstructions, features.originals)


class RFID(FrechetDistance):
    """rFID: the FID of torch-fidelity between reconstructions and the same preprocessed originals."""

    extractor, unbiased = InceptionPool3, "kid"


class FDAlex256(FrechetDistance):
    """The same distance on AlexNet's features: not an FID."""

    extractor, unbiased = AlexNet256, "kid_alex256"


def frechet_influences(first: Tensor, second: Tensor) -> Tensor:
    """The influence of each pair of features on the Fréchet distance of the two sides: float64 ``(N,)``, of sum zero.

    With centred features x and y and T, the optimal-transport map from the one normal distribution to the other, the derivatives
    of the distance by Σ₁ and Σ₂ are ``I - T`` and ``I - T^-1``. So the influence is ``2 (μ₁ - μ₂)·(x - y) + x·(I - T) x +
    y·(I - T^-1) y`` less its mean. What both sides contribute belongs to one image and is added before anything is squared:
    reconstructions resemble their originals.

    Directions in which a side varies by rounding only are left out of T.

    Args:
        first, second: features of the same N images, ``(N, D)`` each; N should not be below D.

    Source: Efron, The Jackknife, the Bootstrap and Other Resampling Plans (1982), ch. 6 (infinitesimal jackknife); the
    derivative: Dowson & Landau, The Fréchet Distance between Multivariate Normal Distributions (1982).
    """
    means = [part.mean(0, dtype=torch.float64) for part in (first, second)]
    covariances = list(map(_covariance, (first, second), means))
    # T = L'^-1 (L'Σ₂L)^½ L^-1 for any L with LL' = Σ₁, and T^-1 = L (L'Σ₂L)^-½ L'; as x·Tx is a square, half of each is enough.
    deviations, axes = _roots(covariances[0])
    root = axes * deviations
    scales, turn = _roots(root.mT @ covariances[1] @ root)
    halves = axes / deviations @ turn * scales.sqrt(), root @ turn / scales.sqrt()
    slopes = 2 * (means[0] - means[1]), 2 * (means[1] - means[0])
    of_first, of_second = map(_influences_of_a_side, (first, second), means, slopes, halves)
    influences = of_first + of_second
    return influences - influences.mean()


def _influences_of_a_side(features: Tensor, mean: Tensor, slope: Tensor, half: Tensor) -> Tensor:
    """``slope·x + x·x - |x·half|²`` of the centred features x, ``(N,)``."""
    parts = (part.double() - mean for part in torch.split(features, ROWS))
    return torch.cat([x @ slope + x.square().sum(1) - (x @ half).square().sum(1) for x in parts])


def _covariance(features: Tensor, mean: Tensor) -> Tensor:
    """The sample covariance, float64 ``(D, D)``."""
    parts = (part.double() - mean for part in torch.split(features, ROWS))
    return sum((x.mT @ x for x in parts), start=torch.zeros(())) / (len(features) - 1)


def _roots(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Square roots ``(R,)`` of a symmetric matrix's eigenvalues that are more than rounding, and their vectors ``(D, R)``."""
    values, vectors = torch.linalg.eigh(matrix)
    certain = values > values[-1] * len(values) * torch.finfo(values.dtype).eps
    return values[certain].sqrt(), vectors[:, certain]
