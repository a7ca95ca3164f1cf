"""Distribution metrics with the real weights: torch-fidelity's own reference value, and torch-fidelity on saved PNGs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from real_assets import real_asset
from torch import Tensor

from vqbench.interfaces import EvaluationContext, Measurement
from vqbench.worker.pixels import evaluation_batch, to_uint8
from vqbench_plugins.metrics.features import FeatureMetric
from vqbench_plugins.metrics.frechet import RFID
from vqbench_plugins.metrics.kernel import KID
from vqbench_plugins.metrics.manifold import Precision, Recall

pytestmark = pytest.mark.slow

WEIGHTS = "inception-2015-12-05-pool3.pth"
CIFAR10 = "cifar-10-batches-bin"


@pytest.fixture
def weights(monkeypatch: pytest.MonkeyPatch) -> Path:
    path = real_asset(WEIGHTS)
    monkeypatch.setenv("VQBENCH_ASSETS", str(path.parent))
    return path


def _cifar10(names: Iterable[str]) -> Tensor:
    """All images of some files, uint8 ``(N, 3, 32, 32)``."""
    folder = real_asset(CIFAR10)
    records = [np.fromfile(folder / name, np.uint8).reshape(-1, 3073) for name in names]
    return torch.from_numpy(np.concatenate(records)[:, 1:].reshape(-1, 3, 32, 32))


def _measure(
    metrics: dict[str, FeatureMetric], originals: Tensor, others: Tensor, cache: Path
) -> dict[str, Measurement]:
    """``originals`` and ``others``: uint8."""
    context = EvaluationContext(images="test", count=len(originals), device=torch.device("cpu"), cache=cache)
    for metric in metrics.values():
        metric.prepare(context)
    for a, b in zip(originals.split(100), others.split(100), strict=True):
        batch = evaluation_batch(a.float() / 255, b.float() / 255)
        for metric in metrics.values():
            metric.update(batch)
    return {name: metric.compute() for name, metric in metrics.items()}


def test_the_reference_value_of_torch_fidelity(weights: Path, tmp_path: Path) -> None:
    """5000 training images of CIFAR-10 against 5000 validation images, chosen as in torch-fidelity's tests."""

    def chosen(images: Tensor) -> Tensor:
        return images[np.sort(np.random.RandomState(2020).choice(len(images), 5000, replace=False))]

    train = chosen(_cifar10(f"data_batch_{n}.bin" for n in range(1, 6)))
    valid = chosen(_cifar10(["test_batch.bin"]))
    found = _measure({"rfid": RFID(), "kid": KID()}, valid, train, tmp_path)
    print(found)
    assert found["rfid"].value == pytest.approx(10.3233274, abs=1e-4)
    assert found["rfid"].caution is None
    assert found["kid"].value == pytest.approx(-2.907863e-05, abs=1e-7)


def test_torch_fidelity_on_saved_reconstructions_gives_the_same(weights: Path, tmp_path: Path) -> None:
    import torch_fidelity

    originals = _cifar10(["test_batch.bin"])[:64]
    noise = torch.randn(originals.shape, generator=torch.Generator().manual_seed(0))
    reconstructions = to_uint8(originals.float() / 255 + 0.1 * noise)
    for name, images in (("originals", originals), ("reconstructions", reconstructions)):
        (tmp_path / name).mkdir()
        for i, image in enumerate(images.permute(0, 2, 3, 1).numpy()):
            Image.fromarray(image).save(tmp_path / name / f"{i:04d}.png")
    metrics = {"rfid": RFID(), "kid": KID(), "precision": Precision(), "recall": Recall()}
    found = {name: m.value for name, m in _measure(metrics, originals, reconstructions, tmp_path / "cache").items()}
    by_hand = torch_fidelity.calculate_metrics(
        input1=str(tmp_path / "reconstructions"),
        input2=str(tmp_path / "originals"),
        fid=True,
        kid=True,
        prc=True,
        cuda=False,
        cache=False,
        save_cpu_ram=True,
        verbose=False,
        feature_extractor="inception-v3-compat",
        feature_layer_prc="2048",
        feature_extractor_weights_path=str(weights),
        kid_subset_size=64,
    )
    assert found["rfid"] == pytest.approx(by_hand["frechet_inception_distance"], abs=1e-3)
    assert found["kid"] == pytest.approx(by_hand["kernel_inception_distance_mean"], abs=1e-6)
    assert found["precision"] == by_hand["precision"]
    assert found["recall"] == by_hand["recall"]
