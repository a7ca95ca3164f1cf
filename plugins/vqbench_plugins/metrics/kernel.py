"""Kernel distances between the features of originals and reconstructions (Bińkowski et al., arXiv 1801.01401)."""

from __future__ import annotations

from vqbench.interfaces import Measurement
from vqbench_plugins.metrics.extractors import AlexNet256, InceptionPool3
from vqbench_plugins.metrics.features import FeatureMetric, FeaturePair

__all__ = ["KID", "KIDAlex256", "KernelDistance"]

SUBSET_SIZE, SUBSETS = 1000, 100
SEED = 2020


class KernelDistance(FeatureMetric):
    """Unbiased estimate of MMD² with the kernel ``(x·y / D + 1)³``, mean over random subsets, by torch-fidelity.

    ``SUBSETS`` subsets of ``SUBSET_SIZE`` images of each side with a fixed seed; of that many images or fewer, one of them
    all. Unbiased for any number of images, so it may be negative.
    """

    def measure(self, features: FeaturePair) -> Measurement:
        from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, KEY_METRIC_KID_STD, kid_features_to_metric

        size = min(SUBSET_SIZE, features.count)
        subsets = SUBSETS if features.count > size else 1  # subsets of all images are all the same
        found = kid_features_to_metric(
            features.reconstructions,
            features.originals,
            kid_subsets=subsets,
            kid_subset_size=size,
            rng_seed=SEED,
            verbose=False,
        )
        details = {"subsets": str(subsets), "subset_size": str(size)}
        if subsets > 1:
            details["std_over_subsets"] = repr(found[KEY_METRIC_KID_STD])
        return Measurement(value=found[KEY_METRIC_KID_MEAN], details=details)


class KID(KernelDistance):
    """KID of torch-fidelity between reconstructions and the same preprocessed originals."""

    extractor = InceptionPool3


class KIDAlex256(KernelDistance):
    """The same distance on AlexNet's features: not a KID."""

    extractor = AlexNet256
