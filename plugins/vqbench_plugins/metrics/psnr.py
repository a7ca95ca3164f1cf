"""Peak signal-to-noise ratio."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from vqbench.interfaces import EvaluationBatch, Measurement, PerImageMetric
from vqbench_plugins.metrics.mse import MSE, mean_squared_error

__all__ = ["PSNR", "PSNRFloat", "PSNRPooled", "psnr"]


def psnr(originals: Tensor, reconstructions: Tensor, *, data_range: float = 255.0) -> Tensor:
    """``10 log10(R² / MSE)`` of each image in dB, ``(B,)`` float64; infinite where the two are equal.

    Args:
        originals, reconstructions: ``(B, …)``, integer or floating, on one scale.
        data_range: R, the distance between the darkest and the brightest value.
    """
    return 10 * torch.log10(data_range**2 / mean_squared_error(originals, reconstructions))


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


class PSNRFloat(PSNR):
    """The same of reconstructions as they are decoded, neither clamped nor rounded (bsq-vit, the GQ authors)."""

    def per_image(self, batch: EvaluationBatch) -> Tensor:
        return psnr(batch.originals, batch.reconstructions, data_range=1.0)


class PSNRPooled(MSE):
    """PSNR of the mean squared error of all images together (torchmetrics' default): never above the mean of images' PSNR.

    The ends of the interval are those of the error's, as PSNR.
    """

    def compute(self) -> Measurement:
        error = super().compute()
        if error.value is None:
            return error
        if error.value == 0:
            return Measurement(
                value=None, n=error.n, reason="PSNR is infinite: every image was reconstructed perfectly"
            )
        low, high = _decibel(error.high), _decibel(error.low)
        return replace(error, value=_decibel(error.value), low=low, high=high)

    def values(self) -> None:
        """None: it is no mean over images."""


def _decibel(error: float | None) -> float | None:
    return None if error is None or error <= 0 else 10 * math.log10(255**2 / error)
