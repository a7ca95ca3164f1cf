"""Descriptors of the built-in metrics; importing them imports no torch."""

from __future__ import annotations

from vqbench.specs import MetricSpec
from vqbench_plugins.metrics.distribution_specs import DISTRIBUTION_METRICS

__all__ = [
    "L1",
    "LPIPS_ALEX",
    "LPIPS_VGG",
    "METRICS",
    "MSE",
    "MS_SSIM",
    "PSNR",
    "PSNR_FLOAT",
    "PSNR_POOLED",
    "SSIM",
    "SSIM_SKIMAGE",
]

_SYMMETRIC = frozenset({"symmetric"})
_UINT8 = "clamped, rounded to the nearest of 256 levels, RGB"

PSNR = MetricSpec(
    name="psnr",
    target="vqbench_plugins.metrics.psnr:PSNR",
    summary="peak signal-to-noise ratio",
    unit="dB",
    better="higher",
    protocol=f"mean over images of 10 log10(255^2 / MSE of the image); {_UINT8}",
    capabilities=_SYMMETRIC,
)

SSIM = MetricSpec(
    name="ssim",
    target="vqbench_plugins.metrics.ssim:SSIM",
    summary="structural similarity",
    unit="1",
    better="higher",
    protocol=(
        "Wang 2004: Gaussian window 11x11, sigma 1.5, valid region, population covariance, K1 0.01, K2 0.03, "
        f"data range 255, mean over positions, channels, then images; {_UINT8}"
    ),
    paper="Wang, Bovik, Sheikh, Simoncelli, IEEE TIP 13(4), 2004",
    capabilities=_SYMMETRIC,
)

L1 = MetricSpec(
    name="l1",
    target="vqbench_plugins.metrics.l1:L1",
    summary="mean absolute error",
    unit="grey levels",
    better="lower",
    protocol=f"mean over images of the mean absolute difference, in steps of 1/255; {_UINT8}",
    capabilities=_SYMMETRIC,
)

MSE = MetricSpec(
    name="mse",
    target="vqbench_plugins.metrics.mse:MSE",
    summary="mean squared error",
    unit="squared grey levels",
    better="lower",
    protocol=f"mean over images of the mean squared difference, in steps of 1/255; {_UINT8}",
    capabilities=_SYMMETRIC,
)

MS_SSIM = MetricSpec(
    name="ms_ssim",
    target="vqbench_plugins.metrics.ms_ssim:MSSSIM",
    summary="multi-scale structural similarity, images of 161 pixels or more",
    unit="1",
    better="higher",
    protocol=(
        "Wang 2003: five scales by 2x2 means, weights 0.0448 0.2856 0.3001 0.2363 0.1333, negative factors 0, windows as ssim, "
        f"data range 255, mean over channels, then images; {_UINT8}"
    ),
    paper="Wang, Simoncelli, Bovik, Asilomar 2003",
    capabilities=_SYMMETRIC,
)

PSNR_POOLED = MetricSpec(
    name="psnr_pooled",
    target="vqbench_plugins.metrics.psnr:PSNRPooled",
    summary="peak signal-to-noise ratio of the error of all images together",
    unit="dB",
    better="higher",
    protocol=f"10 log10(255^2 / MSE over all images), as torchmetrics' default; {_UINT8}",
    capabilities=_SYMMETRIC,
)

PSNR_FLOAT = MetricSpec(
    name="psnr_float",
    target="vqbench_plugins.metrics.psnr:PSNRFloat",
    summary="peak signal-to-noise ratio of what is decoded, neither clamped nor rounded",
    unit="dB",
    better="higher",
    protocol="mean over images of 10 log10(1 / MSE of the image); float32 RGB in [0, 1], reconstructions as decoded",
    capabilities=_SYMMETRIC,
)

SSIM_SKIMAGE = MetricSpec(
    name="ssim_skimage",
    target="vqbench_plugins.metrics.ssim_skimage:SkimageSSIM",
    summary="structural similarity by scikit-image's defaults",
    unit="1",
    better="higher",
    protocol=(
        "skimage.metrics.structural_similarity: uniform window 7x7, valid region, sample covariance, K1 0.01, K2 0.03, "
        f"data range 255, mean over positions, channels, then images; {_UINT8}"
    ),
    capabilities=_SYMMETRIC,
)


def _lpips(net: str, target: str, network: str, smallest: int) -> MetricSpec:
    return MetricSpec(
        name=f"lpips_{net}",
        target=f"vqbench_plugins.metrics.lpips:{target}",
        summary=f"perceptual distance LPIPS on {network}, images of {smallest} pixels or more",
        unit="1",
        better="lower",
        protocol=(
            f"LPIPS v0.1, {network} of torchvision with the authors' linear heads: mean over positions, sum of five layers, mean "
            f"over images; float32; {_UINT8}, scaled to [-1, 1]"
        ),
        weights=(f"lpips_{net}",),
        paper="Zhang, Isola, Efros, Shechtman, Wang, CVPR 2018 (arXiv 1801.03924)",
        capabilities=_SYMMETRIC,
    )


LPIPS_ALEX = _lpips("alex", "LPIPSAlex", "AlexNet", 31)
LPIPS_VGG = _lpips("vgg", "LPIPSVGG", "VGG-16", 16)

METRICS = (
    *(PSNR, SSIM, L1, MSE, MS_SSIM, PSNR_POOLED, PSNR_FLOAT, SSIM_SKIMAGE, LPIPS_ALEX, LPIPS_VGG),
    *DISTRIBUTION_METRICS,
)
"""All of them."""
