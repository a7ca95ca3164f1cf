"""LPIPS as a metric of originals and reconstructions."""

import importlib
from pathlib import Path

import pytest
import torch
from random_lpips import random_state
from real_assets import real_asset

from vqbench.assets import WEIGHTS, Located
from vqbench.errors import UnavailableError
from vqbench.interfaces import EvaluationContext
from vqbench.worker.lpips import LPIPS, NETS, load_lpips
from vqbench.worker.pixels import evaluation_batch
from vqbench_plugins.metrics import lpips as module
from vqbench_plugins.metrics.specs import LPIPS_ALEX, LPIPS_VGG

SPECS = (LPIPS_ALEX, LPIPS_VGG)
CONTEXT = EvaluationContext(images="x", count=5, device=torch.device("cpu"), cache=Path("nowhere"))


def make(spec):
    name, _, cls = spec.target.partition(":")
    return getattr(importlib.import_module(name), cls)()


def batch(count=5, side=34, noise=0.2):
    generator = torch.Generator().manual_seed(0)
    originals = torch.rand(count, 3, side, side, generator=generator)
    return evaluation_batch(originals, originals + noise * torch.randn(originals.shape, generator=generator))


@pytest.fixture
def random_trunk(monkeypatch):
    """Every trunk is random; what was loaded is kept."""
    loaded = {}

    def load(net, device):
        loaded[net] = LPIPS(net, random_state(net))
        form = WEIGHTS[f"lpips_{net}"].forms[0]
        return loaded[net], Located(path=Path(f"lpips_{net}.pth"), provider="cache", sha256="ab" * 32, form=form)

    monkeypatch.setattr(module, "load_lpips", load)
    return loaded


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
class TestMetric:
    def test_mean_of_rounded_images_scaled_to_one(self, spec, random_trunk):
        metric, images = make(spec), batch()
        metric.prepare(CONTEXT)
        for part in (slice(0, 2), slice(2, None)):
            metric.update(evaluation_batch(images.originals[part], images.reconstructions[part]))
        x, y = (2 * u.float() / 255 - 1 for u in (images.originals_uint8, images.reconstructions_uint8))
        (distance,) = random_trunk.values()
        expected = distance(x, y)
        assert not torch.allclose(expected, distance(x, 2 * images.reconstructions - 1), rtol=1e-3)  # clamping counts
        torch.testing.assert_close(metric.values().float(), expected)
        measured = metric.compute()
        assert measured.value == pytest.approx(expected.mean().item(), rel=1e-5)
        assert measured.low < measured.value < measured.high
        assert (measured.n, measured.unavailable) == (5, False)
        assert measured.details == {"weights": f"{spec.name}.pth, sha256 {'ab' * 8}", "weights_from": "cache"}

    def test_null_without_weights(self, spec):
        with pytest.raises(UnavailableError, match=f"`vqbench weights fetch {spec.name}`"):
            make(spec).prepare(CONTEXT)
        assert spec.weights == (spec.name,)

    def test_null_for_images_smaller_than_the_trunk(self, spec, random_trunk):
        side = NETS[spec.name.removeprefix("lpips_")].smallest
        metric = make(spec)
        metric.update(batch(side=side - 1))
        measured = metric.compute()
        assert measured.value is None
        assert f"{side - 1} x {side - 1} pixels are smaller than the {side} x {side}" in measured.reason
        assert not measured.unavailable
        assert metric.values() is None
        assert f"{side} pixels or more" in spec.summary

    def test_more_noise_is_farther(self, spec, random_trunk):
        scores = []
        for noise in (0.02, 0.3):
            metric = make(spec)
            metric.update(batch(noise=noise))
            scores.append(metric.compute().value)
        assert scores[0] < scores[1]
        assert spec.better == "lower"

    def test_real_weights(self, spec, monkeypatch):
        monkeypatch.setenv("VQBENCH_ASSETS", str(real_asset(f"{spec.name}.pth").parent))
        metric, images = make(spec), batch()
        metric.prepare(CONTEXT)
        metric.update(images)
        x, y = (2 * u.float() / 255 - 1 for u in (images.originals_uint8, images.reconstructions_uint8))
        expected = load_lpips(metric.net, torch.device("cpu"))[0](x, y).mean().item()
        assert metric.compute().value == pytest.approx(expected, rel=1e-5)
        assert metric.compute().details["weights_from"] == "explicit path"
