"""MS-SSIM and the variants of PSNR and SSIM that others report, on real photos, against the libraries that define them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from vqbench.errors import TensorError
from vqbench.interfaces import EvaluationBatch, Measurement, Metric
from vqbench.worker.pixels import evaluation_batch
from vqbench_plugins.datasets.photos import Photos
from vqbench_plugins.metrics.ms_ssim import MSSSIM, SMALLEST, ms_ssim
from vqbench_plugins.metrics.mse import MSE
from vqbench_plugins.metrics.psnr import PSNR, PSNRFloat, PSNRPooled
from vqbench_plugins.metrics.ssim import SSIM
from vqbench_plugins.metrics.ssim_skimage import SkimageSSIM


def photos(size: int, noise: float = 0.05) -> tuple[Tensor, EvaluationBatch]:
    """Six photos and noisy reconstructions of them, some of whose values leave [0, 1]."""
    images = Photos(size, train_images=1, test_images=6).split("test")
    originals = torch.stack([images[i] for i in range(6)])
    strength = noise * torch.arange(1.0, 7.0)[:, None, None, None]
    reconstructions = originals + strength * torch.randn(originals.shape, generator=torch.Generator().manual_seed(0))
    return reconstructions, evaluation_batch(originals, reconstructions)


def measure(metric: Metric, batch: EvaluationBatch) -> Measurement:
    """In two parts."""
    for part in (slice(0, 2), slice(2, None)):
        metric.update(evaluation_batch(batch.originals[part], batch.reconstructions[part]))
    return metric.compute()


@pytest.mark.parametrize("size", [161, 176, 203])
def test_ms_ssim_is_that_of_pytorch_msssim(size: int) -> None:
    pytorch_msssim = pytest.importorskip("pytorch_msssim")
    _, batch = photos(size)
    a, b = batch.originals_uint8, batch.reconstructions_uint8
    expected = pytorch_msssim.ms_ssim(a.double(), b.double(), data_range=255, size_average=False)
    torch.testing.assert_close(ms_ssim(a, b), expected.double(), rtol=0, atol=1e-5)  # its window is in float32
    assert measure(MSSSIM(), batch).value == pytest.approx(float(expected.mean()), abs=1e-5)


def test_equal_images_have_an_ms_ssim_of_one_and_opposite_ones_of_zero() -> None:
    _, batch = photos(161)
    image = batch.originals_uint8
    assert ms_ssim(image, image).tolist() == pytest.approx([1.0] * 6)
    assert ms_ssim(image, 255 - image).max() < 0.05


def test_images_too_small_for_five_scales_have_no_ms_ssim() -> None:
    _, batch = photos(160)
    small = measure(MSSSIM(), batch)
    assert small.value is None
    assert small.reason == "images of 160 x 160 pixels are smaller than the 161 x 161 that five scales need"
    with pytest.raises(TensorError, match="161 x 161 or more"):
        ms_ssim(batch.originals_uint8, batch.reconstructions_uint8)
    assert SMALLEST == 161


def test_scikit_images_defaults_are_another_number() -> None:
    metrics = pytest.importorskip("skimage.metrics")
    _, batch = photos(48)
    pairs = zip(batch.originals_uint8.numpy(), batch.reconstructions_uint8.numpy(), strict=True)
    expected = [metrics.structural_similarity(a, b, channel_axis=0, data_range=255) for a, b in pairs]
    found = measure(SkimageSSIM(), batch).value
    assert found == pytest.approx(sum(expected) / 6, abs=1e-12)
    assert found is not None
    assert found > (measure(SSIM(), batch).value or 1) + 0.001


def test_the_pooled_psnr_is_that_of_all_images_together() -> None:
    metrics = pytest.importorskip("skimage.metrics")
    _, batch = photos(32)
    a, b = batch.originals_uint8.numpy(), batch.reconstructions_uint8.numpy()
    pooled, error = measure(PSNRPooled(), batch), measure(MSE(), batch)
    assert pooled.value == pytest.approx(metrics.peak_signal_noise_ratio(a, b, data_range=255), abs=1e-9)
    assert error.value == pytest.approx(metrics.mean_squared_error(a, b), rel=1e-12)
    assert pooled.low is not None
    assert pooled.high is not None
    assert pooled.low < pooled.value < pooled.high
    assert pooled.interval == error.interval is not None
    assert PSNRPooled().values() is None  # the errors of the images are not what it is the mean of
    assert pooled.value < (measure(PSNR(), batch).value or 0) - 1


def test_one_image_or_none_differing_leaves_no_interval_and_no_pooled_psnr() -> None:
    _, batch = photos(32)
    same = evaluation_batch(batch.originals, batch.originals)
    perfect = measure(PSNRPooled(), same)
    assert perfect.value is None
    assert perfect.reason == "PSNR is infinite: every image was reconstructed perfectly"
    one = PSNRPooled()
    one.update(evaluation_batch(batch.originals[:1], batch.reconstructions[:1]))
    assert (one.compute().low, one.compute().high) == (None, None)
    assert PSNRPooled().compute().reason == "no images were evaluated"


def test_the_psnr_of_floats_sees_what_clamping_and_rounding_take_away() -> None:
    reconstructions, batch = photos(32, noise=0.2)
    errors = (batch.originals.double() - reconstructions.double()).square().mean(dim=(1, 2, 3))
    found = measure(PSNRFloat(), batch).value
    assert found == pytest.approx(float((-10 * errors.log10()).mean()), abs=1e-9)
    assert found is not None
    assert found < (measure(PSNR(), batch).value or 0) - 0.5
