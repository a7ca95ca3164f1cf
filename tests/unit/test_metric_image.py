"""PSNR, SSIM and L1 against scikit-image and against values that can be worked out by hand."""

from __future__ import annotations

import importlib
import math
import subprocess
import sys

import numpy as np
import pytest
import torch

from vqbench.bootstrap import mean_interval
from vqbench.errors import TensorError
from vqbench.interfaces import EvaluationBatch, PerImageMetric
from vqbench.intervals import BOOTSTRAP
from vqbench.worker.pixels import evaluation_batch
from vqbench_plugins.metrics.l1 import L1, mean_absolute_error
from vqbench_plugins.metrics.psnr import PSNR, psnr
from vqbench_plugins.metrics.specs import METRICS
from vqbench_plugins.metrics.ssim import SSIM, ssim


def _pair(*shape: int, strength: int = 30) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    original = torch.randint(0, 256, shape, generator=generator)
    noise = torch.randint(-strength, strength + 1, shape, generator=generator)
    return original.to(torch.uint8), (original + noise).clamp(0, 255).to(torch.uint8)


def _batch(original: torch.Tensor, reconstruction: torch.Tensor) -> EvaluationBatch:
    return evaluation_batch(original.float() / 255, reconstruction.float() / 255)


def test_psnr_of_a_known_error() -> None:
    black = torch.zeros(1, 3, 4, 4, dtype=torch.uint8)
    assert psnr(black, black + 1).item() == pytest.approx(20 * math.log10(255))
    assert psnr(black, black + 255).item() == pytest.approx(0)
    half = black.clone()
    half[:, :, :2] = 2  # half the pixels are off by 2: MSE 2
    assert psnr(black, half).item() == pytest.approx(10 * math.log10(255**2 / 2))


def test_errors_do_not_wrap_around_in_uint8() -> None:
    low, high = torch.full((1, 3, 2, 2), 250, dtype=torch.uint8), torch.full((1, 3, 2, 2), 5, dtype=torch.uint8)
    assert mean_absolute_error(low, high).item() == mean_absolute_error(high, low).item() == 245
    assert psnr(low, high).item() == psnr(high, low).item() == pytest.approx(20 * math.log10(255 / 245))


@pytest.mark.parametrize("shape", [(3, 3, 11, 11), (2, 3, 16, 23), (1, 3, 64, 48)])
def test_psnr_and_ssim_are_those_of_scikit_image(shape: tuple[int, ...]) -> None:
    metrics = pytest.importorskip("skimage.metrics")
    original, reconstruction = _pair(*shape)
    for i in range(shape[0]):
        a, b = original[i].numpy(), reconstruction[i].numpy()
        expected = metrics.peak_signal_noise_ratio(a, b, data_range=255)
        assert psnr(original, reconstruction)[i].item() == pytest.approx(expected, abs=1e-9)
        expected = metrics.structural_similarity(
            a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255, channel_axis=0
        )
        assert ssim(original, reconstruction)[i].item() == pytest.approx(expected, abs=1e-9)


def test_ssim_of_flat_images_is_their_luminance_term() -> None:
    x, y, c1 = 100.0, 120.0, (0.01 * 255) ** 2
    flat = torch.full((1, 3, 12, 12), 100, dtype=torch.uint8)
    expected = (2 * x * y + c1) / (x * x + y * y + c1)
    assert ssim(flat, flat + 20).item() == pytest.approx(expected, abs=1e-9)


def test_ssim_of_equal_images_is_one_and_the_order_does_not_matter() -> None:
    original, reconstruction = _pair(2, 3, 15, 15)
    assert ssim(original, original).tolist() == pytest.approx([1, 1])
    assert torch.equal(ssim(original, reconstruction), ssim(reconstruction, original))


def test_ssim_does_not_depend_on_how_a_batch_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    original, reconstruction = _pair(5, 3, 16, 16)
    whole = ssim(original, reconstruction)
    monkeypatch.setattr("vqbench_plugins.metrics.ssim._CHUNK", 2 * 3 * 16 * 16)
    assert torch.allclose(ssim(original, reconstruction), whole, rtol=0, atol=1e-12)


def test_ssim_of_images_smaller_than_the_window_is_null_with_a_reason() -> None:
    original, reconstruction = _pair(2, 3, 10, 30)
    with pytest.raises(TensorError, match="11 x 11"):
        ssim(original, reconstruction)
    metric = SSIM()
    metric.update(_batch(original, reconstruction))
    measured = metric.compute()
    assert measured.value is None
    assert measured.reason == "images of 10 x 30 pixels are smaller than the 11 x 11 window"


def test_images_reconstructed_perfectly_make_the_mean_psnr_null_and_are_counted() -> None:
    metric = PSNR()
    original, reconstruction = _pair(5, 3, 4, 4)
    metric.update(_batch(original, reconstruction))
    metric.update(_batch(original[:2], original[:2]))
    measured = metric.compute()
    assert (measured.value, measured.low, measured.n) == (None, None, 7)
    assert measured.reason == "the mean is infinite: 2 of 7 images were reconstructed perfectly"


@pytest.mark.parametrize(("metric", "function"), [(PSNR(), psnr), (SSIM(), ssim), (L1(), mean_absolute_error)])
def test_a_metric_is_the_mean_over_images_of_any_batches_with_the_bootstrap_interval(metric, function) -> None:
    original, reconstruction = _pair(7, 3, 12, 12)
    for part in (slice(0, 1), slice(1, 5), slice(5, 7)):
        metric.update(_batch(original[part], reconstruction[part]))
    values = function(original, reconstruction).numpy()
    measured = metric.compute()
    low, high = mean_interval(values)
    assert (measured.n, measured.interval) == (7, BOOTSTRAP)
    assert (measured.value, measured.low, measured.high) == pytest.approx((np.mean(values), low, high), rel=1e-9)


def test_psnr_is_measured_on_rounded_clamped_pixels() -> None:
    metric = PSNR()
    originals = torch.full((1, 3, 2, 2), 1.0)
    reconstructions = torch.full((1, 3, 2, 2), 1.7)  # clamped: no error there
    reconstructions[0, 0, 0, 0] = (254 + 0.3) / 255  # rounded: off by 1 in one of 12 values
    metric.update(evaluation_batch(originals, reconstructions))
    assert metric.compute().value == pytest.approx(10 * math.log10(255**2 * 12))


def test_nothing_measured_is_null() -> None:
    for metric in (PSNR(), SSIM(), L1()):
        measured = metric.compute()
        assert (measured.value, measured.n) == (None, 0)
        assert measured.reason


@pytest.mark.parametrize("spec", [spec for spec in METRICS if not spec.weights], ids=lambda spec: spec.name)
def test_a_descriptor_names_an_existing_class_and_the_right_direction(spec) -> None:
    module, _, name = spec.target.partition(":")
    scores = []
    for strength in (3, 100):
        metric = getattr(importlib.import_module(module), name)()
        assert isinstance(metric, PerImageMetric)
        metric.update(_batch(*_pair(2, 3, 161, 161, strength=strength)))
        scores.append(metric.compute().value)
    assert spec.better == ("higher" if scores[0] > scores[1] else "lower")


def test_descriptors_import_no_torch() -> None:
    code = "import sys, vqbench_plugins.metrics.specs; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
