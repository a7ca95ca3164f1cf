"""Mean absolute error."""

from __future__ import annotations

from torch import Tensor

from vqbench.interfaces import EvaluationBatch, PerImageMetric

__all__ = ["L1", "mean_absolute_error"]


def mean_absolute_error(originals: Tensor, reconstructions: Tensor) -> Tensor:
    """Mean absolute difference of each image ``(B, …)``, in the images' own unit, ``(B,)`` float64."""
    return (originals.double() - reconstructions.double()).abs().flatten(1).mean(1)


class L1(PerImageMetric):
    """Mean over images of the mean absolute error of uint8 RGB, in grey levels of 1/255."""

    def per_image(self, batch: EvaluationBatch) -> Tensor:
        return mean_absolute_error(batch.originals_uint8, batch.reconstructions_uint8)
