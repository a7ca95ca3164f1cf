"""A small random network in place of a pretrained one, and metrics of its features."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from vqbench import assets
from vqbench.assets import Form, Located
from vqbench.interfaces import EvaluationContext, Measurement
from vqbench.worker.pixels import evaluation_batch
from vqbench_plugins.metrics.extractors import Extractor
from vqbench_plugins.metrics.features import FeatureMetric
from vqbench_plugins.metrics.frechet import FrechetDistance
from vqbench_plugins.metrics.kernel import KernelDistance
from vqbench_plugins.metrics.manifold import Precision, Recall

__all__ = ["SIDE", "ToyExtractor", "measure", "pair", "toy_metrics", "toy_weights"]

SIDE, DIMENSION = 8, 12


class ToyNetwork(nn.Module):
    """Two random layers on uint8 images of ``SIDE`` pixels; ``seen`` lists the batches it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3 * SIDE * SIDE, 32)
        self.second = nn.Linear(32, DIMENSION)
        self.seen: list[int] = []

    def forward(self, images: Tensor) -> Tensor:
        self.seen.append(len(images))
        return self.second(torch.relu(self.first(images.float().flatten(1) / 255)))


class ToyExtractor(Extractor):
    name, weights, dimension, smallest, resize = "toy", "toy", DIMENSION, 4, "none"

    def build(self, state: Mapping[str, Tensor]) -> nn.Module:
        network = ToyNetwork()
        network.load_state_dict(dict(state))
        return network


class ToyFD(FrechetDistance):
    extractor, unbiased = ToyExtractor, "kid_toy"


class ToyKID(KernelDistance):
    extractor = ToyExtractor


class ToyPrecision(Precision):
    extractor = ToyExtractor


class ToyRecall(Recall):
    extractor = ToyExtractor


def toy_metrics() -> dict[str, FeatureMetric]:
    return {"fd": ToyFD(), "kid": ToyKID(), "precision": ToyPrecision(), "recall": ToyRecall()}


def toy_weights(folder: Path, monkeypatch: pytest.MonkeyPatch, *, seed: int = 0) -> list[str]:
    """Make weights that are found under every name; what is returned collects the names that are asked for."""
    torch.manual_seed(seed)
    path = folder / f"toy{seed}.pth"
    torch.save(ToyNetwork().state_dict(), path)
    asked: list[str] = []

    def locate(name: str) -> Located:
        asked.append(name)
        return Located(path=path, provider="explicit path", sha256=f"{seed:064d}", form=Form(files=(), providers=()))

    monkeypatch.setattr(assets, "locate", locate)
    return asked


def pair(count: int, side: int = SIDE) -> tuple[Tensor, Tensor]:
    """uint8 originals and noisy reconstructions."""
    generator = torch.Generator().manual_seed(count)
    originals = torch.randint(0, 256, (count, 3, side, side), generator=generator)
    noise = torch.randint(-60, 61, originals.shape, generator=generator)
    return originals.to(torch.uint8), (originals + noise).clamp(0, 255).to(torch.uint8)


def measure(
    metrics: Mapping[str, FeatureMetric],
    originals: Tensor,
    reconstructions: Tensor,
    cache: Path,
    *,
    images: str = "test",
    batch_size: int = 16,
) -> dict[str, Measurement]:
    """Prepare, update and compute, as an evaluation does; images are uint8."""
    context = EvaluationContext(images=images, count=len(originals), device=torch.device("cpu"), cache=cache)
    for metric in metrics.values():
        metric.prepare(context)
    for a, b in zip(originals.split(batch_size), reconstructions.split(batch_size), strict=True):
        batch = evaluation_batch(a.float() / 255, b.float() / 255)
        for metric in metrics.values():
            metric.update(batch)
    return {name: metric.compute() for name, metric in metrics.items()}
