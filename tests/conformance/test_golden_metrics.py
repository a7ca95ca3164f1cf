"""Image metrics and codebook usage against numbers recorded from published implementations."""

from __future__ import annotations

import math

import golden
import pytest
import torch

from vqbench.worker.pixels import evaluation_batch
from vqbench.worker.usage import CodeUsage, slot_usage
from vqbench_plugins.metrics.ms_ssim import WEIGHTS, ms_ssim
from vqbench_plugins.metrics.psnr import PSNR, psnr
from vqbench_plugins.metrics.ssim import SSIM, ssim
from vqbench_plugins.metrics.ssim_skimage import SkimageSSIM


@pytest.mark.parametrize("name", golden.names("psnr.per_image*"))
def test_psnr_of_each_image(name: str) -> None:
    case = golden.case(name)
    case.assert_close("psnr", psnr(case.tensor("a"), case.tensor("b"), data_range=case.parameters["data_range"]))


@pytest.mark.parametrize("name", golden.names("ms_ssim"))
def test_ms_ssim(name: str) -> None:
    case = golden.case(name)
    assert tuple(case.parameters["weights"]) == WEIGHTS
    case.assert_close("ms_ssim", ms_ssim(case.tensor("a"), case.tensor("b"), data_range=case.parameters["data_range"]))


@pytest.mark.parametrize("name", golden.names("psnr.pooled"))
def test_the_pooled_psnr_is_another_number_than_ours(name: str) -> None:
    case = golden.case(name)
    a, b, data_range = case.tensor("a"), case.tensor("b"), case.parameters["data_range"]
    case.assert_close("psnr", psnr(a.flatten()[None], b.flatten()[None], data_range=data_range).squeeze())
    assert psnr(a, b, data_range=data_range).mean() > float(case["psnr"]) + 1


@pytest.mark.parametrize("name", golden.names("ssim.gaussian_valid", "ssim.gaussian_valid.signed"))
def test_ssim_with_the_gaussian_window(name: str) -> None:
    case = golden.case(name)
    a, b, data_range = case.tensor("a"), case.tensor("b"), case.parameters["data_range"]
    if shift := case.parameters.get("shift", 0.0):  # images in [-1, 1] are mapped to [0, data_range] first
        a, b = a + shift, b + shift
    case.assert_close("ssim", ssim(a, b, data_range=data_range))


@pytest.mark.parametrize("name", golden.names("ssim.uniform7"))
def test_the_ssim_with_a_uniform_window_is_another_number_than_ours(name: str) -> None:
    case = golden.case(name)
    ours = ssim(case.tensor("a"), case.tensor("b"), data_range=case.parameters["data_range"])
    assert (ours - case.tensor("ssim")).abs().max() > 1e-3
    metric = SkimageSSIM()
    metric.update(evaluation_batch(case.tensor("a").float() / 255, case.tensor("b").float() / 255))
    case.assert_close("ssim", torch.cat(metric._values))


@pytest.mark.parametrize(
    ("metric", "field", "name"),
    [(PSNR, "psnr", golden.names("psnr.per_image.uint8")[0]), (SSIM, "ssim", "ssim_gaussian_valid_uint8_176x192")],
)
def test_a_metric_class_reports_the_mean_over_the_recorded_images(metric, field: str, name: str) -> None:
    case = golden.case(name)
    measured = metric()
    measured.update(evaluation_batch(case.tensor("a").float() / 255, case.tensor("b").float() / 255))
    expected = case[field].mean()
    assert measured.compute().value == pytest.approx(expected, rel=0, abs=case.tolerances[field]["atol"])


@pytest.mark.parametrize("name", golden.names("usage.entropy_true"))
def test_entropy(name: str) -> None:
    case = golden.case(name)
    measured = slot_usage(case.tensor("counts"), case.parameters["K"])
    case.assert_close("entropy", torch.tensor(measured.entropy_bits).numpy())


@pytest.mark.parametrize("name", golden.names("usage.entropy_guarded"))
def test_usage_agrees_where_the_guarded_entropy_is_another_number_than_ours(name: str) -> None:
    case = golden.case(name)
    measured = slot_usage(case.tensor("counts"), case.parameters["K"])
    case.assert_close("usage", torch.tensor(measured.usage).numpy())
    assert measured.entropy_bits > float(case["entropy"]) + 0.01  # the guard inside the logarithm takes bits off


@pytest.mark.parametrize("name", golden.names("usage.perplexity"))
def test_perplexity_from_codes(name: str) -> None:
    case = golden.case(name)
    codes = torch.repeat_interleave(torch.arange(case.parameters["K"]), case.tensor("counts"))
    counted = CodeUsage([(case.parameters["K"],)])
    counted.update(0, codes.reshape(1, 1, 1, -1))
    (measured,) = counted.compute()
    case.assert_close("perplexity", torch.tensor(measured.perplexity).numpy())


@pytest.mark.parametrize("name", golden.names("usage.entropy_smoothed"))
def test_the_entropy_of_smoothed_counts_is_another_number_than_ours(name: str) -> None:
    case = golden.case(name)
    counts, size = case.tensor("counts"), case.parameters["K"]
    exact = slot_usage(counts, size).entropy_bits * math.log(2)
    smoothed = float(case["entropy"])
    assert (counts == 0).any()
    assert exact < smoothed - 1e-5  # smoothing gives unused codes a share
