"""Multi-scale structural similarity (Wang, Simoncelli and Bovik, Asilomar 2003)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from vqbench.errors import TensorError
from vqbench.interfaces import EvaluationBatch
from vqbench_plugins.metrics.ssim import SSIM, WINDOW, ssim_maps

__all__ = ["MSSSIM", "SMALLEST", "ms_ssim"]

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Of the five scales, the full size first."""

SMALLEST = (WINDOW - 1) * 2 ** (len(WEIGHTS) - 1) + 1
"""Shortest side in pixels, 161: at the fifth scale the window just fits."""


def ms_ssim(originals: Tensor, reconstructions: Tensor, *, data_range: float = 255.0) -> Tensor:
    """MS-SSIM of each image, ``(B,)`` float64 in [0, 1].

    The means of contrast and structure at the four finer scales and of SSIM at the coarsest, negative ones counted as 0, to
    the powers ``WEIGHTS``, multiplied; then the mean over channels. A scale is the mean of 2×2 pixels of the one before;
    where a side is odd, zeros are put around and count in the mean, as in pytorch-msssim. The window is that of ``ssim``.

    Args:
        originals, reconstructions: ``(B, C, H, W)``, integer or floating, in ``[0, data_range]``.
        data_range: L, the distance between the darkest and the brightest value.

    Raises:
        TensorError: a side shorter than ``SMALLEST``.
    """
    if min(originals.shape[-2:]) < SMALLEST:
        raise TensorError(
            "MS-SSIM needs images that its window fits at the fifth scale",
            got=tuple(originals.shape[-2:]),
            expected=f"{SMALLEST} x {SMALLEST} or more",
        )
    pairs = zip(
        torch.split(originals, 1), torch.split(reconstructions, 1), strict=True
    )  # float64 maps of one at a time
    return torch.cat([_product(x.double(), y.double(), data_range) for x, y in pairs])


def _product(x: Tensor, y: Tensor, data_range: float) -> Tensor:
    factors = []
    for scale, weight in enumerate(WEIGHTS, 1):
        similarity, structure = (maps.flatten(2).mean(2) for maps in ssim_maps(x, y, data_range))  # (B, C)
        factor = similarity if scale == len(WEIGHTS) else structure
        factors.append(factor.clamp(min=0) ** weight)
        odd = [side % 2 for side in x.shape[-2:]]
        x, y = (avg_pool2d(image, 2, padding=odd) for image in (x, y))
    return torch.stack(factors).prod(dim=0).mean(dim=1)


class MSSSIM(SSIM):
    """Mean over images of the MS-SSIM of uint8 RGB with data range 255; null for images too small for five scales."""

    smallest, needs = SMALLEST, f"the {SMALLEST} x {SMALLEST} that five scales need"

    def per_image(self, batch: EvaluationBatch) -> Tensor:
        return ms_ssim(batch.originals_uint8, batch.reconstructions_uint8)
