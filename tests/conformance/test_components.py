"""The conformance kit on every registered backbone, dataset, metric and suite, those of installed third parties included."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from random_lpips import random_state

from vqbench.assets import Form, Located
from vqbench.catalog import Catalog, CatalogOptions
from vqbench.testing import checks_of, parametrize_with_checks, subject
from vqbench.testing.parametrize import BoundCheck

CATALOG = Catalog.load(CatalogOptions())
SMALL = {  # parameters that keep the tests quick; a component not listed runs with its defaults
    "vqbench/unet": {"channels": 8, "norm_groups": 4, "encoder_blocks": 1, "decoder_blocks": 1},
    "vqbench/vit": {"width": 16, "heads": 2, "encoder_depth": 3, "decoder_depth": 1},
    "vqbench/photos": {"train_images": 40, "test_images": 20},
}
SUBJECTS = [
    subject(f"{kind}:{entry.id}", CATALOG, **SMALL.get(entry.id, {}))
    for kind in ("backbone", "dataset", "metric", "suite")
    for entry in CATALOG.entries(kind)
]
VARIANTS = [
    subject("unet", CATALOG, **SMALL["vqbench/unet"], attention_resolutions=[8], stem_stride=2),
    subject("vit", CATALOG, **SMALL["vqbench/vit"] | {"heads": 1, "mlp_ratio": 1}),
]


@parametrize_with_checks([*SUBJECTS, *VARIANTS])
def test_conformance(check):
    check()


@pytest.fixture(scope="module")
def random_alexnet(tmp_path_factory):
    """LPIPS and the distances of AlexNet's features find a random network of the right shapes in place of the weights."""
    path = tmp_path_factory.mktemp("weights") / "lpips_alex.pth"
    torch.save(random_state("alex"), path)
    located = Located(path=path, provider="these tests", sha256="0" * 64, form=Form(files=(), providers=()))
    with pytest.MonkeyPatch.context() as patch:
        for place in ("vqbench.assets.locate", "vqbench.worker.lpips.locate"):
            patch.setattr(place, lambda name: located)
        patch.setattr("vqbench.testing.metric.direction.missing_weights", lambda names: [])
        yield


@pytest.mark.parametrize("check", checks_of("metric"), ids=lambda check: check.name)
@pytest.mark.parametrize("name", ["lpips_alex", "fd_alex256", "kid_alex256"])
def test_metrics_of_networks_conform_with_a_random_network(check, name: str, random_alexnet) -> None:
    BoundCheck(check, subject(f"metric:{name}", CATALOG))()


@pytest.fixture(scope="module")
def folder_of_images(tmp_path_factory):
    """Forty images of many sizes, grey ones among them."""
    root, generator = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for index in range(40):
        shape = (20 + index, 70 - index) if index % 4 == 0 else (20 + index, 70 - index, 3)
        Image.fromarray(generator.integers(0, 256, shape, np.uint8)).save(root / f"{index}.png")
    return subject("dataset:folder", CATALOG, root=str(root), test_fraction=0.3)


@pytest.mark.parametrize("check", checks_of("dataset"), ids=lambda check: check.name)
def test_a_folder_of_images_conforms(check, folder_of_images) -> None:
    BoundCheck(check, folder_of_images)()
