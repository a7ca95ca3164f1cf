"""Fréchet, kernel and manifold metrics against torch-fidelity itself, with a small random network."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from toy_features import ToyFD, ToyKID, ToyNetwork, measure, pair, toy_metrics, toy_weights
from toy_unit import toy_catalog, toy_cell

from vqbench import assets
from vqbench.errors import UnavailableError
from vqbench.interfaces import EvaluationContext, Metric
from vqbench.worker.build import build_tokenizer
from vqbench.worker.evaluate import Batches, evaluate
from vqbench.worker.pixels import evaluation_batch
from vqbench_plugins.metrics import kernel
from vqbench_plugins.metrics.distribution_specs import DISTRIBUTION_METRICS
from vqbench_plugins.metrics.features import FeatureMetric

KEYS = {
    "fd": "frechet_inception_distance",
    "kid": "kernel_inception_distance_mean",
    "precision": "precision",
    "recall": "recall",
}


@pytest.fixture(autouse=True)
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    return toy_weights(tmp_path, monkeypatch)


class _Images(torch.utils.data.Dataset):
    def __init__(self, images: torch.Tensor) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.images[index]


def _by_torch_fidelity(
    weights: Path, originals: torch.Tensor, reconstructions: torch.Tensor, subset: int
) -> dict[str, float]:
    import torch_fidelity
    from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY

    class Registered(torch_fidelity.FeatureExtractorBase):
        def __init__(self, name: str, features: list[str], **kwargs: object) -> None:
            super().__init__(name, features)
            self.network = ToyNetwork()
            self.network.load_state_dict(torch.load(weights, weights_only=True))

        @staticmethod
        def get_provided_features_list() -> tuple[str]:
            return ("toy",)

        @staticmethod
        def get_default_feature_layer_for_metric(metric: str) -> str:
            return "toy"

        def forward(self, images: torch.Tensor) -> tuple[torch.Tensor]:
            return (self.network(images),)

    torch_fidelity.register_feature_extractor("vqbench-toy", Registered)
    try:
        return torch_fidelity.calculate_metrics(
            input1=_Images(reconstructions),
            input2=_Images(originals),
            feature_extractor="vqbench-toy",
            kid_subset_size=subset,
            fid=True,
            kid=True,
            prc=True,
            cuda=False,
            cache=False,
            save_cpu_ram=True,
            verbose=False,
        )
    finally:
        del FEATURE_EXTRACTORS_REGISTRY["vqbench-toy"]


def test_the_numbers_are_those_of_torch_fidelity(tmp_path: Path) -> None:
    originals, noisy = pair(40)
    images = originals, noisy // 2 + 64
    found = measure(toy_metrics(), *images, tmp_path / "cache")
    expected = _by_torch_fidelity(tmp_path / "toy0.pth", *images, subset=40)
    for name, key in KEYS.items():
        assert found[name].value == pytest.approx(expected[key], rel=1e-6, abs=1e-6), name
    assert 0 < found["recall"].value < found["precision"].value  # less contrast lies within more, not the reverse
    assert all(measured.n == 40 for measured in found.values())


def test_more_images_than_a_kid_subset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "SUBSET_SIZE", 20)
    images = pair(50)
    found = measure({"kid": ToyKID()}, *images, tmp_path / "cache")["kid"]
    expected = _by_torch_fidelity(tmp_path / "toy0.pth", *images, subset=20)
    assert found.value == pytest.approx(expected["kernel_inception_distance_mean"], abs=1e-6)
    std = float(found.details["std_over_subsets"])
    assert std == pytest.approx(expected["kernel_inception_distance_std"], abs=1e-6)
    assert (found.details["subsets"], found.details["subset_size"]) == ("100", "20")


def test_equal_images(tmp_path: Path) -> None:
    originals, _ = pair(40)
    found = measure(toy_metrics(), originals, originals, tmp_path / "cache")
    assert found["fd"].value == pytest.approx(0, abs=1e-6)
    assert (found["precision"].value, found["recall"].value) == (1, 1)
    network = ToyNetwork()
    network.load_state_dict(torch.load(tmp_path / "toy0.pth", weights_only=True))
    x = network(originals).detach().double().numpy()
    k = (x @ x.T / x.shape[1] + 1) ** 3
    n = len(x)
    unbiased = 2 * (k.sum() - np.trace(k)) / (n * (n - 1)) - 2 * k.mean()
    assert unbiased < 0
    assert found["kid"].value == pytest.approx(unbiased, abs=1e-6)


@pytest.mark.parametrize("batch_size", [1, 7, 100])
def test_how_images_are_batched_does_not_matter(
    tmp_path: Path, batch_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = pair(40)
    expected = measure(toy_metrics(), *images, tmp_path / "a")
    monkeypatch.setattr("vqbench_plugins.metrics.extractors.CHUNK", {"cpu": 3})
    found = measure(toy_metrics(), *images, tmp_path / "b", batch_size=batch_size)
    for name in KEYS:
        assert found[name].value == pytest.approx(expected[name].value, abs=1e-5), name


def test_fewer_images_than_features_are_a_caution(tmp_path: Path) -> None:
    few = measure(toy_metrics(), *pair(11), tmp_path / "cache", images="few")
    assert few["fd"].caution == "11 images < 12 features: biased upwards; prefer kid_toy"
    enough = measure(toy_metrics(), *pair(12), tmp_path / "cache", images="enough")
    assert enough["fd"].caution is None
    assert all(found[name].caution is None for found in (few, enough) for name in ("kid", "precision", "recall"))


def test_too_few_images_for_a_number(tmp_path: Path) -> None:
    one = measure(toy_metrics(), *pair(1), tmp_path / "cache", images="one")
    assert all(measured.value is None for measured in one.values())
    assert one["kid"].reason == "it needs 2 images or more, and there are 1"
    three = measure(toy_metrics(), *pair(3), tmp_path / "cache", images="three")
    assert three["precision"].reason == three["recall"].reason == "it needs 4 images or more, and there are 3"
    assert three["fd"].value is not None
    assert (three["kid"].value is not None, three["kid"].details["subset_size"]) == (True, "3")


def test_images_too_small_for_the_network(tmp_path: Path) -> None:
    found = measure(toy_metrics(), *pair(5, side=3), tmp_path / "cache")
    assert {m.reason for m in found.values()} == {"images of 3 x 3 pixels are smaller than the 4 x 4 of its network"}
    assert not list(tmp_path.glob("cache/**/*.safetensors"))


def test_details_say_how_it_was_measured(tmp_path: Path) -> None:
    details = measure({"fd": ToyFD()}, *pair(40), tmp_path / "cache")["fd"].details
    assert details["library"].startswith("torch-fidelity ")
    assert (details["weights"], details["weights_from"]) == ("toy0.pth, sha256 " + "0" * 16, "explicit path")
    assert (details["images"], details["resize"], details["features"]) == ("40", "none", "toy")


def test_missing_weights_make_the_numbers_null_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def locate(name: str) -> None:
        raise UnavailableError(f"The weights {name!r} are not here", hint=f"vqbench weights fetch {name}")

    monkeypatch.setattr(assets, "locate", locate)
    catalog = toy_catalog()
    tokenizer = build_tokenizer(toy_cell(catalog).unit, catalog)
    images = torch.rand(5, 3, 8, 8)
    context = EvaluationContext(images="x", count=5, device=torch.device("cpu"), cache=tmp_path)
    metrics: dict[str, Metric] = dict(toy_metrics())
    found = evaluate(tokenizer, Batches(list(images), 2, torch.device("cpu")), metrics, context=context)
    for measured in found.metrics.values():
        assert (measured.value, measured.unavailable) == (None, True)
        assert "vqbench weights fetch toy" in str(measured.reason)
    assert found.images == 5


def test_a_broken_installation_makes_the_numbers_null(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    context = EvaluationContext(images="x", count=5, device=torch.device("cpu"), cache=tmp_path)
    with pytest.raises(UnavailableError, match="torch-fidelity cannot be imported"):
        ToyFD().prepare(context)


def test_covariances_without_eigenvalues_make_the_number_null(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def diverge(_: np.ndarray) -> np.ndarray:
        raise np.linalg.LinAlgError("Eigenvalues did not converge")

    monkeypatch.setattr(np.linalg, "eigvals", diverge)
    found = measure(toy_metrics(), *pair(20), tmp_path / "cache")
    assert (found["fd"].value, found["fd"].n) == (None, 20)
    assert "did not converge" in str(found["fd"].reason)
    assert found["kid"].value is not None


def test_one_without_preparation_or_images(tmp_path: Path) -> None:
    metric = ToyFD()
    assert metric.compute().reason == "no images were evaluated"
    image = torch.zeros(1, 3, 8, 8)
    with pytest.raises(RuntimeError, match="before it was prepared"):
        metric.update(evaluation_batch(image, image))


@pytest.mark.parametrize("spec", DISTRIBUTION_METRICS, ids=lambda spec: spec.name)
def test_a_descriptor_names_its_class_and_what_it_compares(spec) -> None:
    module, _, name = spec.target.partition(":")
    metric = getattr(importlib.import_module(module), name)()
    assert isinstance(metric, FeatureMetric)
    assert spec.weights == (metric.extractor.weights,)
    assert ("Inception" in spec.protocol) == (metric.extractor.weights == "inception")
    assert ("AlexNet" in spec.protocol) == (metric.extractor.weights == "lpips_alex")
    assert spec.better == ("higher" if name in ("Precision", "Recall") else "lower")
    assert len(spec.protocol) <= 500  # what a record keeps
