"""Image metrics on real photos, compressed as JPEG: ours beside the libraries that define them."""

from __future__ import annotations

import io

import numpy as np
import pytest
import pytorch_msssim
import torch
from PIL import Image
from random_lpips import defining, random_state
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio, structural_similarity

from vqbench.interfaces import EvaluationBatch
from vqbench.worker.lpips import LPIPS
from vqbench.worker.pixels import evaluation_batch
from vqbench_plugins.datasets.photos import Photos
from vqbench_plugins.metrics.ms_ssim import MSSSIM
from vqbench_plugins.metrics.mse import MSE
from vqbench_plugins.metrics.psnr import PSNR
from vqbench_plugins.metrics.ssim import SSIM
from vqbench_plugins.metrics.ssim_skimage import SkimageSSIM

GAUSSIAN = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}


@pytest.fixture(scope="module")
def photos() -> EvaluationBatch:
    """Six photos of 176 x 176 and what JPEG makes of them at six qualities."""
    images = Photos(176, train_images=1, test_images=6).split("test")
    originals = torch.stack([images[i] for i in range(6)])
    return evaluation_batch(originals, torch.stack([jpeg(image, 5 + 17 * i) for i, image in enumerate(originals)]))


def jpeg(image: torch.Tensor, quality: int) -> torch.Tensor:
    file = io.BytesIO()
    pixels = (image * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1) / 255


def of_each(photos: EvaluationBatch, function, **options) -> float:
    """Mean over the images of scikit-image's number."""
    sides = (t.permute(0, 2, 3, 1).numpy() for t in (photos.originals_uint8, photos.reconstructions_uint8))
    return float(np.mean([function(a, b, **options) for a, b in zip(*sides, strict=True)]))


def ms_ssim(photos: EvaluationBatch) -> float:
    sides = (photos.originals_uint8.double(), photos.reconstructions_uint8.double())
    return pytorch_msssim.ms_ssim(*sides, data_range=255).item()


@pytest.mark.parametrize(
    ("metric", "library"),
    [
        (PSNR, lambda p: of_each(p, peak_signal_noise_ratio)),
        (SSIM, lambda p: of_each(p, structural_similarity, channel_axis=2, **GAUSSIAN)),
        (SkimageSSIM, lambda p: of_each(p, structural_similarity, channel_axis=2)),
        (MSSSIM, ms_ssim),
        (MSE, lambda p: of_each(p, mean_squared_error)),
    ],
)
def test_a_metric_is_what_its_library_says(metric, library, photos: EvaluationBatch) -> None:
    measured = metric()
    measured.update(photos)
    assert measured.compute().value == pytest.approx(library(photos), rel=1e-5)


@pytest.mark.parametrize("net", ["alex", "vgg"])
def test_lpips_is_what_its_package_says(net: str, photos: EvaluationBatch) -> None:
    state = random_state(net)
    x, y = (2 * side - 1 for side in (photos.originals[:2], photos.reconstructions[:2]))
    with torch.no_grad():
        torch.testing.assert_close(LPIPS(net, state)(x, y), defining(net, state)(x, y).flatten(), atol=1e-7, rtol=1e-4)
