"""Descriptors of the built-in image metrics; importing them imports no torch."""

from __future__ import annotations

from vqbench.specs import MetricSpec

__all__ = ["L1", "METRICS", "PSNR", "SSIM"]

_UINT8 = "clamped, rounded to the nearest of 256 levels, RGB"

PSNR = MetricSpec(
    name="psnr",
    target="vqbench_plugins.metrics.psnr:PSNR",
    summary="peak signal-to-noise ratio",
    unit="dB",
    better="higher",
    protocol=f"mean over images of 10 log10(255^2 / MSE of the image); {_UINT8}",
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
)

L1 = MetricSpec(
    name="l1",
    target="vqbench_plugins.metrics.l1:L1",
    summary="mean absolute error",
    unit="grey levels",
    better="lower",
    protocol=f"mean over images of the mean absolute difference, in steps of 1/255; {_UINT8}",
)

METRICS = (PSNR, SSIM, L1)
"""All of them."""
