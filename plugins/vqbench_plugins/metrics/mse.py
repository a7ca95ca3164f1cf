"""Mean squared error."""

from __future__ import annotations

from torch import Tensor

from vqbench.interfaces import EvaluationBatch, PerImageMetric

__all__ = ["MSE", "mean_squared_error"]


def mean_squared_error(originals: Tensor, reconstructions: Tensor) -> Tensor:
    """Mean squared difference of each image ``(B, …)``, in the square of the images' own unit, ``(B,)`` float64."""
    return (originals.double() - reconstructions.double()).square().flatten(1).mean(1)


class MSE(PerImageMetric):
    """Mean over images of the mean squared error of uint8 RGB, in squared grey levels of 1/255."""

    def per_image(self, batch: EvaluationBatch) -> Tensor:
        return mean_squared_error(batch.originals_uint8, batch.reconstructions_uint8)
