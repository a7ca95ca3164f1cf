"""Every registered quantizer and backbone, those of plugins included: a small batch through each operation.

Parameters are the preset ``tiny`` where there is one and the defaults elsewhere. What cannot be built is skipped with its reason.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from vqbench import LevelShape
from vqbench.catalog import Catalog, CatalogOptions, Entry, resolve_parameters
from vqbench.errors import VQBenchError
from vqbench.interfaces import Backbone, Quantizer

DEVICES = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)
OPERATIONS = {"quantizer": ("forward", "training", "decode"), "backbone": ("encode", "decode")}
PRESET = "tiny"
BATCH, IMAGE_SIZE, STRIDE, CHANNELS = 4, 64, 8, 16
"""Images of 64×64 are latents of 8×8 (of a coarser level: less); a backbone's have 16 channels."""


@functools.cache
def load_catalog(plugins: tuple[str, ...]) -> Catalog:
    return Catalog.load(CatalogOptions.from_environment(plugins=plugins))


@pytest.fixture
def catalog(pytestconfig: pytest.Config) -> Catalog:
    return load_catalog(tuple(pytestconfig.getoption("--plugin")))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    catalog = load_catalog(tuple(metafunc.config.getoption("--plugin")))
    for kind in set(OPERATIONS) & set(metafunc.fixturenames):
        names = [entry.id for entry in catalog.entries(kind)]
        points = [pytest.param(*p, id="-".join(p)) for p in product(names, OPERATIONS[kind], DEVICES)]
        metafunc.parametrize((kind, "operation", "device"), points)


def test_quantizer(benchmark: Any, catalog: Catalog, quantizer: str, operation: str, device: str) -> None:
    """All levels of a quantizer, each on random latents: ``training`` is forward and backward."""
    entry = catalog.get("quantizer", quantizer)
    calls = [prepare_level(*level, operation) for level in build_quantizers(catalog, entry, operation, device)]
    measure(benchmark, f"quantizer {operation} {device}", lambda: [call() for call in calls])


def test_backbone(benchmark: Any, catalog: Catalog, backbone: str, operation: str, device: str) -> None:
    """One level, in evaluation."""
    net = build_backbone(catalog, catalog.get("backbone", backbone)).to(device).eval()
    side = IMAGE_SIZE // STRIDE
    images, value = (
        torch.rand(BATCH, *shape, device=device) for shape in ((3, IMAGE_SIZE, IMAGE_SIZE), (CHANNELS, side, side))
    )
    call = torch.no_grad()((lambda: net.encode(images)) if operation == "encode" else (lambda: net.decode([value])))
    measure(benchmark, f"backbone {operation} {device}", call)


def build_quantizers(catalog: Catalog, entry: Entry, operation: str, device: str) -> list[tuple[Quantizer, Tensor]]:
    """The quantizer of each level and latents for it, from one seed."""
    torch.manual_seed(0)
    spec: Any = entry.spec
    built = []
    try:
        parameters = parameters_of(entry)
        if operation == "training" and (other := spec.trains_as(parameters) if spec.trains_as else None):
            pytest.skip(f"it trains as {other.quantizer}")
        for level in spec.levels(parameters):
            target: Any = catalog.load_target(entry)
            if level.target is not None:
                target = catalog.load_target(level.target)
            side = IMAGE_SIZE // (STRIDE * level.relative_stride)
            latents = torch.randn(BATCH, level.latent_channels, side, side, device=device)
            built.append((target(**level.arguments).to(device).train(operation == "training"), latents))
    except VQBenchError as error:
        pytest.skip(str(error))
    return built


def build_backbone(catalog: Catalog, entry: Entry) -> Backbone:
    """A backbone of one level."""
    torch.manual_seed(0)
    try:
        target: Any = catalog.load_target(entry)
        levels = (LevelShape(stride=STRIDE, latent_channels=CHANNELS, code_channels=CHANNELS),)
        backbone: Backbone = target(IMAGE_SIZE, levels, **parameters_of(entry))
    except VQBenchError as error:
        pytest.skip(str(error))
    return backbone


def parameters_of(entry: Entry) -> dict[str, Any]:
    return resolve_parameters(entry.spec, preset=PRESET if PRESET in entry.spec.presets else None)


def prepare_level(quantizer: Quantizer, latents: Tensor, operation: str) -> Callable[[], object]:
    """The operation on one level, ready to be called again and again."""
    if operation == "training":
        return functools.partial(train, quantizer, latents.requires_grad_())
    with torch.no_grad():
        codes = quantizer(latents).codes
    if operation == "forward":
        return torch.no_grad()(lambda: quantizer(latents))
    if not codes.shape[1]:
        pytest.skip("a continuous latent has no codes")
    return torch.no_grad()(lambda: quantizer.decode(codes))


def train(quantizer: Quantizer, latents: Tensor) -> None:
    """The gradient of what a decoder would ask for and of the quantizer's own losses."""
    latents.grad = None
    quantizer.zero_grad(set_to_none=True)
    quantized = quantizer(latents)
    own = sum(loss.weight * loss.value for loss in quantized.losses.values())
    (quantized.value.square().mean() + own).backward()


def measure(benchmark: Any, group: str, call: Callable[[], object]) -> None:
    """Time a call until the device is done with it."""

    def timed() -> None:
        call()
        if torch.cuda.is_available():
            torch.cuda.synchronize()

    benchmark.group = group
    benchmark(timed)
