"""What can be timed of every registered quantizer and backbone, those of plugins included, each on a small batch.

Parameters are the preset ``tiny`` where there is one and the defaults elsewhere.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from vqbench import LevelShape
from vqbench.catalog import Catalog, Entry, resolve_parameters
from vqbench.errors import VQBenchError
from vqbench.interfaces import Backbone, Quantizer

__all__ = ["OPERATIONS", "CannotMeasure", "Operation", "lies_in", "operations", "prepare"]

OPERATIONS = {"quantizer": ("forward", "training", "decode"), "backbone": ("encode", "decode")}
PRESET = "tiny"
BATCH, IMAGE_SIZE, STRIDE, CHANNELS = 4, 64, 8, 16
"""Images of 64×64 are latents of 8×8 (of a coarser level: less); a backbone's have 16 channels."""


class CannotMeasure(Exception):
    """The component cannot be built here, or has no such operation; the text says why."""


class Operation(NamedTuple):
    """Of a quantizer all its levels, each on random latents: ``training`` is forward and backward. Of a backbone one level, in
    evaluation.

    Attributes:
        kind: ``quantizer`` or ``backbone``.
        component: its registered id.
        what: one of ``OPERATIONS[kind]``.
    """

    kind: str
    component: str
    what: str

    def __str__(self) -> str:
        return f"{self.component}-{self.what}"


def operations(catalog: Catalog) -> list[Operation]:
    """All there are, whether or not they can be measured here."""
    return [
        Operation(kind, entry.id, what)
        for kind, whats in OPERATIONS.items()
        for entry in catalog.entries(kind)
        for what in whats
    ]


def lies_in(folder: Path, catalog: Catalog, operation: Operation) -> bool:
    """Whether the code of the operation's component is found in a folder."""
    target = catalog.get(operation.kind, operation.component).spec.target
    try:
        spec = importlib.util.find_spec(target.partition(":")[0])
    except (ImportError, ValueError):
        return False
    return spec is not None and spec.origin is not None and Path(spec.origin).resolve().is_relative_to(folder.resolve())


def prepare(catalog: Catalog, operation: Operation, device: str = "cpu") -> Callable[[], object]:
    """The operation, ready to be called again and again; made from one seed.

    Raises:
        CannotMeasure: see there.
    """
    torch.manual_seed(0)
    try:
        entry = catalog.get(operation.kind, operation.component)
        if operation.kind == "backbone":
            return _prepare_backbone(catalog, entry, operation.what, device)
        calls = [_prepare_level(*level, operation.what) for level in _levels(catalog, entry, operation.what, device)]
    except VQBenchError as error:
        raise CannotMeasure(str(error)) from error
    return lambda: [call() for call in calls]


def _levels(catalog: Catalog, entry: Entry, what: str, device: str) -> list[tuple[Quantizer, Tensor]]:
    """The quantizer of each level and latents for it."""
    spec: Any = entry.spec
    parameters = _parameters(entry)
    if what == "training" and (other := spec.trains_as(parameters) if spec.trains_as else None):
        raise CannotMeasure(f"it trains as {other.quantizer}")
    built = []
    for level in spec.levels(parameters):
        target: Any = catalog.load_target(entry)
        if level.target is not None:
            target = catalog.load_target(level.target)
        side = IMAGE_SIZE // (STRIDE * level.relative_stride)
        latents = torch.randn(BATCH, level.latent_channels, side, side, device=device)
        built.append((target(**level.arguments).to(device).train(what == "training"), latents))
    return built


def _prepare_backbone(catalog: Catalog, entry: Entry, what: str, device: str) -> Callable[[], object]:
    target: Any = catalog.load_target(entry)
    levels = (LevelShape(stride=STRIDE, latent_channels=CHANNELS, code_channels=CHANNELS),)
    built: Backbone = target(IMAGE_SIZE, levels, **_parameters(entry))
    net = built.to(device).eval()
    side = IMAGE_SIZE // STRIDE
    images, value = (
        torch.rand(BATCH, *shape, device=device) for shape in ((3, IMAGE_SIZE, IMAGE_SIZE), (CHANNELS, side, side))
    )
    return torch.no_grad()((lambda: net.encode(images)) if what == "encode" else (lambda: net.decode([value])))


def _parameters(entry: Entry) -> dict[str, Any]:
    return resolve_parameters(entry.spec, preset=PRESET if PRESET in entry.spec.presets else None)


def _prepare_level(quantizer: Quantizer, latents: Tensor, what: str) -> Callable[[], object]:
    if what == "training":
        return functools.partial(_train, quantizer, latents.requires_grad_())
    with torch.no_grad():
        codes = quantizer(latents).codes
    if what == "forward":
        return torch.no_grad()(lambda: quantizer(latents))
    if not codes.shape[1]:
        raise CannotMeasure("a continuous latent has no codes")
    return torch.no_grad()(lambda: quantizer.decode(codes))


def _train(quantizer: Quantizer, latents: Tensor) -> None:
    """The gradient of what a decoder would ask for and of the quantizer's own losses."""
    latents.grad = None
    quantizer.zero_grad(set_to_none=True)
    quantized = quantizer(latents)
    own = sum(loss.weight * loss.value for loss in quantized.losses.values())
    (quantized.value.square().mean() + own).backward()
