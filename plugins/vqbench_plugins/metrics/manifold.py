"""Precision and recall of reconstructions by nearest neighbours of features (Kynkäänniemi et al., arXiv 1904.06991)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

from torch import Tensor

from vqbench.interfaces import Measurement
from vqbench.intervals import proportion_interval
from vqbench_plugins.metrics.extractors import InceptionPool3
from vqbench_plugins.metrics.features import FeatureMetric, FeaturePair
from vqbench_plugins.metrics.neighbours import covering_influences

__all__ = ["Precision", "Recall"]

NEIGHBOURHOOD = 3
ROWS = 2000
"""Of distances that are in memory at once: 400 MB for 50,000 images."""


class _Manifold(FeatureMetric):
    extractor = InceptionPool3
    least = NEIGHBOURHOOD + 1
    key: str

    def measure(self, features: FeaturePair) -> Measurement:
        found = features.context.once((_Manifold, features), lambda: _precision_recall(features))
        return Measurement(value=found[self.key], details={"neighbourhood": str(NEIGHBOURHOOD)})

    def influences(self, features: FeaturePair) -> Tensor | None:
        """Those of :func:`covering_influences`; None of four images, of which none can be left out."""
        if features.count < NEIGHBOURHOOD + 2:
            return None
        device = features.context.device
        centres, points = (part.to(device) for part in self.sides(features))
        return covering_influences(centres, points, neighbourhood=NEIGHBOURHOOD)

    def interval(self, value: float, influences: Tensor) -> tuple[float, float]:
        """Wilson's, of as many independent images as would make the fraction vary as much as the jackknife says, N at most.

        Student's would shrink to nothing where nearly all images are inside, or nearly none.
        """
        n = len(influences)
        likely = (value * n + 2) / (n + 4)  # Agresti and Coull's
        variance = influences.var().item()
        return proportion_interval(value, min(n, n * likely * (1 - likely) / variance) if variance else n)

    @staticmethod
    @abstractmethod
    def sides(features: FeaturePair) -> tuple[Tensor, Tensor]:
        """The features that make the manifold, and those that are looked for in it."""


class Precision(_Manifold):
    """Fraction of reconstructions within the manifold of the originals: closer to one of them than its third neighbour is."""

    key = "precision"

    @staticmethod
    def sides(features: FeaturePair) -> tuple[Tensor, Tensor]:
        return features.originals, features.reconstructions


class Recall(_Manifold):
    """Fraction of originals within the manifold of the reconstructions."""

    key = "recall"

    @staticmethod
    def sides(features: FeaturePair) -> tuple[Tensor, Tensor]:
        return features.reconstructions, features.originals


def _precision_recall(features: FeaturePair) -> Mapping[str, float]:
    from torch_fidelity.metric_prc import prc_features_to_metric

    device = features.context.device
    found: Mapping[str, float] = prc_features_to_metric(
        features.reconstructions.to(device),
        features.originals.to(device),
        prc_neighborhood=NEIGHBOURHOOD,
        prc_batch_size=ROWS,
        save_cpu_ram=True,
        verbose=False,
    )
    return found
