"""Precision and recall of reconstructions by nearest neighbours of features (Kynkäänniemi et al., arXiv 1904.06991)."""

from __future__ import annotations

from collections.abc import Mapping

from vqbench.interfaces import Measurement
from vqbench_plugins.metrics.extractors import InceptionPool3
from vqbench_plugins.metrics.features import FeatureMetric, FeaturePair

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


class Precision(_Manifold):
    """Fraction of reconstructions within the manifold of the originals: closer to one of them than its third neighbour is."""

    key = "precision"


class Recall(_Manifold):
    """Fraction of originals within the manifold of the reconstructions."""

    key = "recall"


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
