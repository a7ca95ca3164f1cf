"""Peak signal-to-noise ratio."""

from __future__ import annotations

import torch
from torch import Tensor

from vqbench.interfaces import EvaluationBatch, Measurement, PerImageMetric

__all__ = ["PSNR", "psnr"]


def psnr(originals: Tensor, reconstructions: Tensor, *, data_range: float = 255.0) -> Tensor:
    """``10 log10(R² / MSE)`` of each image in dB, ``(B,)`` float64; infinite where the two are equal.

    Args:
        originals, reconstructions: ``(B, …)``, integer or floating, on one scale.
        data_range: R, the distance between the darkest and the brightest value.
    """
    error = (originals.double() - reconstructions.double()).square().flatten(1).mean(1)
    return 10 * torch.log10(data_range**2 / error)


class PSNR(PerImageMetric):
    """Mean over images of the PSNR of each image's uint8 RGB, R = 255: not that of the pooled error, which is lower."""

    def per_image(self, batch: EvaluationBatch) -> Tensor:
        return psnr(batch.originals_uint8, batch.reconstructions_uint8)

    def compute(self) -> Measurement:
        perfect = sum(int(values.isposinf().sum()) for values in self._values)
        if perfect:
            n = sum(len(values) for values in self._values)
            reason = f"the mean is infinite: {perfect} of {n} images were reconstructed perfectly"
            return Measurement(value=None, n=n, reason=reason)
        return super().compute()
