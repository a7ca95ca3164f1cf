"""Tokenizers trained on the bundled photos by the suite's own trainer, for tests of what training does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import torch
from torch import Tensor

from vqbench.catalog import Catalog, CatalogOptions
from vqbench.interfaces import Dataset
from vqbench.plan import PlanFilter, build_plan
from vqbench.plan.suite import parse_suite
from vqbench.worker.build import build_dataset, convert
from vqbench.worker.checkpoint import load_trained
from vqbench.worker.evaluate import Batches
from vqbench.worker.tokenizer import Tokenizer
from vqbench.worker.trainer import train_unit

CPU = torch.device("cpu")


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A tokenizer, converted and in evaluation, and the photos it was trained on."""

    tokenizer: Tokenizer
    dataset: Dataset

    def images(self, split: Literal["train", "test"], batch: int = 64) -> Iterator[Tensor]:
        """Batches ``(batch, 3, H, W)`` of a split's crops."""
        return iter(Batches(self.dataset.split(split), batch, CPU))

    @torch.no_grad()
    def codes(self, split: Literal["train", "test"]) -> Tensor:
        """The first level's codes ``(N, slots, h, w)`` of all crops of a split."""
        return torch.cat([self.tokenizer.encode(images)[0] for images in self.images(split)])


def train_on_photos(
    quantizer: str,
    parameters: dict[str, Any],
    *,
    backbone: str = "unet",
    stride: int = 8,
    image_size: int = 32,
    train_images: int,
    test_images: int,
    **recipe: Any,
) -> Trained:
    """Train the tiny preset of a backbone with a quantizer on crops of photos."""
    catalog = Catalog.load(CatalogOptions())
    document = {
        "schema": 1,
        "name": "behaviour",
        "stride": stride,
        "data": {
            "name": "photos",
            "image_size": image_size,
            "params": {"train_images": train_images, "test_images": test_images},
        },
        "quantizers": [{"name": quantizer, "params": parameters}],
        "backbones": [{"name": backbone, "preset": "tiny"}],
        "recipe": {"batch_size": 8, "lr": 2e-3, "reconstruction": "mse", **recipe},
    }
    [cell] = build_plan(parse_suite(document, source="test"), catalog, only=PlanFilter()).cells
    with TemporaryDirectory() as folder:
        train_unit(
            cell.unit,
            catalog=catalog,
            folder=Path(folder),
            device=CPU,
            checkpoint_seconds=1e9,
            report=lambda progress: None,
        )
        tokenizer, _ = load_trained(Path(folder), cell.unit, catalog)
    tokenizer = convert(tokenizer, cell, catalog).eval()
    return Trained(tokenizer=tokenizer, dataset=build_dataset(cell.unit.dataset, image_size, catalog))
