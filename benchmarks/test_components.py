"""Every registered quantizer and backbone, see ``vqbench.ci.components``. What cannot be measured is skipped with its reason."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import torch

from vqbench.catalog import Catalog, CatalogOptions
from vqbench.ci.components import CannotMeasure, Operation, operations, prepare

DEVICES = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)


@functools.cache
def load_catalog(plugins: tuple[str, ...]) -> Catalog:
    return Catalog.load(CatalogOptions.from_environment(plugins=plugins))


@pytest.fixture
def catalog(pytestconfig: pytest.Config) -> Catalog:
    return load_catalog(tuple(pytestconfig.getoption("--plugin")))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "operation" in metafunc.fixturenames:
        kind = metafunc.function.__name__.removeprefix("test_")
        found = operations(load_catalog(tuple(metafunc.config.getoption("--plugin"))))
        points = [
            pytest.param(operation, device, id=f"{operation}-{device}")
            for operation in found
            if operation.kind == kind
            for device in DEVICES
        ]
        metafunc.parametrize(("operation", "device"), points)


def test_quantizer(benchmark: Any, catalog: Catalog, operation: Operation, device: str) -> None:
    measure(benchmark, catalog, operation, device)


def test_backbone(benchmark: Any, catalog: Catalog, operation: Operation, device: str) -> None:
    measure(benchmark, catalog, operation, device)


def measure(benchmark: Any, catalog: Catalog, operation: Operation, device: str) -> None:
    """Time a call until the device is done with it."""
    try:
        call = prepare(catalog, operation, device)
    except CannotMeasure as why:
        pytest.skip(str(why))

    def timed() -> None:
        call()
        if torch.cuda.is_available():
            torch.cuda.synchronize()

    benchmark.group = f"{operation.kind} {operation.what} {device}"
    benchmark(timed)
