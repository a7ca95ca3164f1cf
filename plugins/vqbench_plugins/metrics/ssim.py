"""Structural similarity, in the form of Wang, Bovik, Sheikh and Simoncelli (IEEE TIP 2004)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from vqbench.errors import TensorError
from vqbench.interfaces import EvaluationBatch, Measurement, PerImageMetric

__all__ = ["SSIM", "WINDOW", "ssim", "ssim_maps"]

WINDOW = 11
"""Side of the Gaussian window in pixels; smaller images have no SSIM."""

_SIGMA = 1.5
_K1, _K2 = 0.01, 0.03
_CHUNK = 2**21  # values filtered at once: bounds the memory of a large batch


def ssim(originals: Tensor, reconstructions: Tensor, *, data_range: float = 255.0) -> Tensor:
    """SSIM of each image, ``(B,)`` float64, at most 1.

    Gaussian window 11 x 11 of sigma 1.5, only where it lies within the image; population covariance; mean over
    positions and channels. Computed in float64: the variances are differences of nearly equal numbers.

    Args:
        originals, reconstructions: ``(B, C, H, W)``, integer or floating, in ``[0, data_range]``.
            SSIM is not invariant to a shift: images in [-1, 1] must be mapped first.
        data_range: L, the distance between the darkest and the brightest value.

    Raises:
        TensorError: images smaller than the window.
    """
    if min(originals.shape[-2:]) < WINDOW:
        raise TensorError(
            "SSIM needs images at least as large as its window",
            got=tuple(originals.shape[-2:]),
            expected=f"{WINDOW} x {WINDOW} or more",
        )
    images = max(1, _CHUNK // originals[0].numel()) if len(originals) else 1
    chunks = zip(torch.split(originals, images), torch.split(reconstructions, images), strict=True)
    return torch.cat([ssim_maps(x.double(), y.double(), data_range)[0].flatten(1).mean(1) for x, y in chunks])


def ssim_maps(x: Tensor, y: Tensor, data_range: float) -> tuple[Tensor, Tensor]:
    """SSIM at every position and its factor of contrast and structure, ``(B, C, H - 10, W - 10)``; C1, C2 as in the paper.

    Args:
        x, y: floating-point ``(B, C, H, W)``, at least as large as the window.
        data_range: L.
    """
    c1, c2 = (_K1 * data_range) ** 2, (_K2 * data_range) ** 2
    mean_x, mean_y, mean_xx, mean_yy, mean_xy = (_gaussian_mean(v) for v in (x, y, x * x, y * y, x * y))
    var_x, var_y, cov = mean_xx - mean_x**2, mean_yy - mean_y**2, mean_xy - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    covariance, variance = 2 * cov + c2, var_x + var_y + c2
    return luminance * covariance / variance, covariance / variance


def _gaussian_mean(images: Tensor) -> Tensor:
    """Weighted mean over each window: ``(B, C, H, W)`` to ``(B, C, H - 10, W - 10)``."""
    offsets = torch.arange(WINDOW, dtype=images.dtype, device=images.device) - WINDOW // 2
    weights = torch.exp(-offsets.square() / (2 * _SIGMA**2))
    weights = weights / weights.sum()
    planes = images.flatten(0, 1).unsqueeze(1)  # (B·C, 1, H, W)
    planes = conv2d(conv2d(planes, weights.view(1, 1, -1, 1)), weights.view(1, 1, 1, -1))
    return planes.view(*images.shape[:2], *planes.shape[-2:])


class SSIM(PerImageMetric):
    """Mean over images of the SSIM of uint8 RGB with data range 255; null for images smaller than the window."""

    smallest, needs = WINDOW, f"the {WINDOW} x {WINDOW} window"

    def __init__(self) -> None:
        super().__init__()
        self._too_small: tuple[int, ...] | None = None

    def per_image(self, batch: EvaluationBatch) -> Tensor:
        return ssim(batch.originals_uint8, batch.reconstructions_uint8)

    def update(self, batch: EvaluationBatch) -> None:
        size = tuple(batch.originals_uint8.shape[-2:])
        if min(size) < self.smallest:
            self._too_small = size
        else:
            super().update(batch)

    def compute(self) -> Measurement:
        if self._too_small:
            height, width = self._too_small
            reason = f"images of {height} x {width} pixels are smaller than {self.needs}"
            return Measurement(value=None, reason=reason)
        return super().compute()
