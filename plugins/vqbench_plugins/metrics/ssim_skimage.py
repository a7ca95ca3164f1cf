"""Structural similarity as scikit-image computes it unless told otherwise: another number than Wang's."""

from __future__ import annotations

import torch
from torch import Tensor

from vqbench.interfaces import EvaluationBatch
from vqbench_plugins.metrics.ssim import SSIM

__all__ = ["SkimageSSIM"]

WINDOW = 7


class SkimageSSIM(SSIM):
    """Mean over images of ``skimage.metrics.structural_similarity`` of uint8 RGB, data range 255, by channel.

    A uniform window of 7×7 pixels and the sample covariance: higher than :class:`~vqbench_plugins.metrics.ssim.SSIM` on most
    images, and what many papers report as SSIM.
    """

    smallest, needs = WINDOW, f"the {WINDOW} x {WINDOW} window"

    def per_image(self, batch: EvaluationBatch) -> Tensor:
        from skimage.metrics import structural_similarity

        pairs = zip(batch.originals_uint8.cpu(), batch.reconstructions_uint8.cpu(), strict=True)
        values = [structural_similarity(x.numpy(), y.numpy(), data_range=255, channel_axis=0) for x, y in pairs]
        return torch.tensor(values, dtype=torch.float64)
