import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from toy_unit import toy_catalog, toy_cell

from vqbench.errors import TensorError
from vqbench.intervals import median_interval
from vqbench.leaderboard.picture import compose_picture
from vqbench.rate import Bits
from vqbench.worker.build import build_tokenizer
from vqbench.worker.code_numbers import usage_measurements
from vqbench.worker.evaluate import Batches, evaluate
from vqbench.worker.sample import write_sample
from vqbench.worker.throughput import measure_throughput
from vqbench.worker.usage import slot_usage
from vqbench_plugins.metrics.psnr import PSNR

CPU = torch.device("cpu")


class Fixed:
    """Test images that are given."""

    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.images[index]


@pytest.fixture
def catalog():
    return toy_catalog()


@pytest.fixture
def images():
    return torch.rand(11, 3, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def tokenizer(catalog):
    return build_tokenizer(toy_cell(catalog).unit, catalog)


def test_every_image_is_measured_once_whatever_the_batch_size(tokenizer, images):
    results = [evaluate(tokenizer, Batches(Fixed(images), n, CPU), {"psnr": PSNR()}) for n in (1, 4, 11, 100)]
    for result in results:
        assert result.images == 11
        assert result.metrics["psnr"].n == 11
        assert result.metrics["psnr"].value == pytest.approx(results[0].metrics["psnr"].value, rel=1e-6)
        assert [slot.tokens for slot in result.code_usage] == [11 * 16]
        assert result.code_usage == results[0].code_usage


def test_the_sample_is_spread_over_the_test_set(tokenizer, images):
    result = evaluate(tokenizer, Batches(Fixed(images), 4, CPU), {})
    assert result.originals.shape == result.reconstructions.shape == (4, 3, 8, 8)
    as_uint8 = (images * 255).round().to(torch.uint8)
    assert torch.equal(result.originals[0], as_uint8[0])
    assert torch.equal(result.originals[-1], as_uint8[-1])


def test_images_are_decoded_from_codes_alone(tokenizer, images, monkeypatch):
    """A quantizer whose value carries more than its codes gains nothing by it."""
    honest = evaluate(tokenizer, Batches(Fixed(images), 4, CPU), {"psnr": PSNR()}).metrics["psnr"].value
    quantizer = tokenizer.quantizers[0]
    forward = type(quantizer).forward

    def cheating(self, latents):
        quantized = forward(self, latents)
        object.__setattr__(quantized, "value", latents * 1.0)
        return quantized

    monkeypatch.setattr(type(quantizer), "forward", cheating)
    assert evaluate(tokenizer, Batches(Fixed(images), 4, CPU), {"psnr": PSNR()}).metrics["psnr"].value == honest


def test_a_reconstruction_that_is_not_finite_names_its_images(tokenizer, images):
    tokenizer.decode = lambda codes: torch.full((len(codes[0]), 3, 8, 8), float("nan"))
    with pytest.raises(TensorError, match="test images 0 to 3"):
        evaluate(tokenizer, Batches(Fixed(images), 4, CPU), {})


def test_progress_counts_images(tokenizer, images):
    seen = []
    evaluate(tokenizer, Batches(Fixed(images), 4, CPU), {}, report=lambda done, total: seen.append((done, total)))
    assert seen == [(4, 11), (8, 11), (11, 11)]


def test_usage_numbers_follow_from_the_histograms():
    uniform = slot_usage(torch.full((8,), 5), 8, level=0, slot=0)
    half = slot_usage(torch.tensor([20, 20, 0, 0, 0, 0, 0, 0]), 8, level=1, slot=0)
    numbers = usage_measurements([uniform, half], [4, 16], Bits.whole(3 * 20))
    assert numbers["code_usage"].value == pytest.approx((1 + 0.25) / 2)
    assert numbers["perplexity"].value == pytest.approx(math.sqrt(8 * 2))
    assert numbers["entropy_bits_per_image"].value == pytest.approx(4 * 3 + 16 * 1)
    assert numbers["code_efficiency"].value == pytest.approx(28 / 60)
    assert numbers["code_usage"].n == 40


def test_a_continuous_latent_has_null_usage_and_speed_with_a_reason(catalog, images):
    assert all(m.value is None and m.reason for m in usage_measurements([], [16], None).values())
    tokenizer = build_tokenizer(toy_cell(catalog, "gauss").unit, catalog)
    speeds = measure_throughput(tokenizer, images)
    assert all(m.value is None and "no codes" in m.reason for m in speeds.values())


def test_speeds_are_positive_with_an_interval_around_the_median(tokenizer, images):
    for speed in measure_throughput(tokenizer, images).values():
        assert 0 < speed.low <= speed.value <= speed.high
        assert speed.n == 20


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=60))
def test_the_interval_of_a_median_covers_it_with_at_least_95_percent(values):
    low, high = median_interval(values)
    n = len(values)
    if n < 6:  # the range of 5 values covers the median with 93.75 % only
        assert (low, high) == (None, None)
        return
    ordered = sorted(values)
    assert low <= high
    k = min(k for k in range(1, n // 2 + 1) if ordered[k - 1] == low and ordered[n - k] == high)
    assert 1 - 2 * sum(math.comb(n, i) for i in range(k)) / 2**n >= 0.95


def test_the_interval_of_a_median_uses_the_tabulated_ranks():
    assert median_interval(range(1, 21)) == (6, 15)  # n = 20: ranks 6 and 15 cover with 95.9 %
    assert median_interval(range(1, 7)) == (1, 6)


def test_the_picture_shows_originals_then_each_reconstruction(tmp_path):
    originals = torch.zeros(2, 3, 16, 16, dtype=torch.uint8)
    red, blue = originals.clone(), originals.clone()
    red[:, 0], blue[:, 2] = 255, 255
    write_sample(tmp_path / "red.png", originals, red)
    write_sample(tmp_path / "blue.png", originals, blue)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    rows = [(name, tmp_path / f"{name}.png") for name in ("red", "missing", "broken", "blue")]
    assert compose_picture(tmp_path / "picture.png", rows)
    with Image.open(tmp_path / "picture.png") as picture:
        colours = [colour for _, colour in sorted(picture.convert("RGB").getcolors(4096), reverse=True)]
    assert {(0, 0, 0), (255, 0, 0), (0, 0, 255), (255, 255, 255)} <= set(colours)


def test_there_is_no_picture_of_nothing(tmp_path):
    assert not compose_picture(tmp_path / "picture.png", [("a", tmp_path / "a.png")])
    assert not (tmp_path / "picture.png").exists()
