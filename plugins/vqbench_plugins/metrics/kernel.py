"""Kernel distances between the features of originals and reconstructions (Bińkowski et al., arXiv 1801.01401)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from vqbench.interfaces import Measurement
from vqbench_plugins.metrics.extractors import AlexNet256, InceptionPool3
from vqbench_plugins.metrics.features import FeatureMetric, FeaturePair

__all__ = ["KID", "KIDAlex256", "KernelDistance", "kernel_influences"]

SUBSET_SIZE, SUBSETS = 1000, 100
SEED = 2020


class KernelDistance(FeatureMetric):
    """Unbiased estimate of MMD² with the kernel ``(x·y / D + 1)³``, mean over random subsets, by torch-fidelity.

    ``SUBSETS`` subsets of ``SUBSET_SIZE`` images of each side with a fixed seed; of that many images or fewer, one of them
    all. Unbiased for independent sides, so it may be negative; that a reconstruction resembles its original lowers it by O(1/N).
    """

    def measure(self, features: FeaturePair) -> Measurement:
        from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, KEY_METRIC_KID_STD, kid_features_to_metric

        size, subsets = _scheme(features.count)
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

    def influences(self, features: FeaturePair) -> Tensor:
        """Those of :func:`kernel_influences`."""
        return kernel_influences(features.reconstructions, features.originals)


class KID(KernelDistance):
    """KID of torch-fidelity between reconstructions and the same preprocessed originals."""

    extractor = InceptionPool3


class KIDAlex256(KernelDistance):
    """The same distance on AlexNet's features: not a KID."""

    extractor = AlexNet256


def kernel_influences(first: Tensor, second: Tensor) -> Tensor:
    """The influence of each pair of features on the kernel distance of the two sides: float64 ``(N,)``, of sum zero.

    By how much the distance, mean over the subsets that torch-fidelity draws, moves where an image is left out of all of them:
    the delete-one jackknife, which for sums over pairs needs no more than sums of the kernels' rows. That the two sides of a
    subset are other images, and how often each image was drawn, is part of it.

    Args:
        first, second: features of the same N images, ``(N, D)`` each.

    Source: Arvesen, Jackknifing U-Statistics (1969).
    """
    count, dimension = first.shape
    size, subsets = _scheme(count)
    influences = torch.zeros(count, dtype=torch.float64)
    for ours, theirs in _draws(count, size, subsets):
        x, y = first[ours], second[theirs]
        within_x, within_y, between = (((a @ b.mT / dimension + 1) ** 3).double() for a, b in ((x, x), (y, y), (x, y)))
        of_x = (within_x.sum(1) - within_x.diagonal()) / (size - 1) - between.mean(1)
        of_y = (within_y.sum(1) - within_y.diagonal()) / (size - 1) - between.mean(0)
        influences.index_add_(0, ours, 2 * (of_x - of_x.mean()))
        influences.index_add_(0, theirs, 2 * (of_y - of_y.mean()))
        # An image on both sides is paired with itself once, and was counted for either side.
        at_x, at_y = (ours[:, None] == theirs).nonzero(as_tuple=True)
        influences.index_add_(0, ours[at_x], 2 * between[at_x, at_y] / size)
    influences *= count / (size * subsets)
    return influences - influences.mean()


def _scheme(count: int) -> tuple[int, int]:
    """Size and number of the subsets of so many images; subsets of all images are all the same."""
    return (SUBSET_SIZE, SUBSETS) if count > SUBSET_SIZE else (count, 1)


def _draws(count: int, size: int, subsets: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Which images torch-fidelity takes of either side into each subset, ``(size,)`` each, in its order."""
    draws = np.random.RandomState(SEED)
    for _ in range(subsets):
        ours, theirs = (torch.from_numpy(draws.choice(count, size, replace=False)) for _ in range(2))
        yield ours, theirs
