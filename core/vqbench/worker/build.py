"""Builds the parts of a planned unit through the catalog."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import torch

from vqbench.catalog import Catalog, Entry, levels_of
from vqbench.errors import PluginError, TensorError
from vqbench.interfaces import Backbone, Dataset, Metric, Quantizer
from vqbench.plan import Cell, Component, TrainUnit
from vqbench.plugin_code import calling
from vqbench.seeds import derive_seed
from vqbench.specs import LevelPlan, LevelShape
from vqbench.worker.tokenizer import Tokenizer

__all__ = ["build_dataset", "build_metric", "build_tokenizer", "convert"]

Part = TypeVar("Part")


def build_tokenizer(unit: TrainUnit, catalog: Catalog) -> Tokenizer:
    """A freshly initialised tokenizer of a train unit, on the CPU, in training mode.

    Each part is initialised under a seed of its own, derived from the unit's seed and the part's name:
    methods that share all shapes start from the same backbone weights. The seed is that of torch's CPU
    generator, which is left as it was before.

    Raises:
        UnknownComponentError: the catalog lacks a component.
        UnavailableError: a component's requirement is not installed.
        PluginError: a component cannot be built, or is not what its plugin announced.
    """
    quantizer = catalog.get("quantizer", unit.quantizer.id)
    levels = levels_of(quantizer, unit.quantizer.parameters)
    shapes = [
        LevelShape(
            stride=unit.stride * level.relative_stride,
            latent_channels=level.latent_channels,
            code_channels=level.code_channels,
        )
        for level in levels
    ]
    backbone = catalog.get("backbone", unit.backbone.id)
    return Tokenizer(
        _build_backbone(unit, shapes, backbone, catalog),
        _build_quantizers(unit.quantizer, levels, unit.seed, quantizer, catalog),
        backbone_name=backbone.owner,
        quantizer_name=quantizer.owner,
    ).train()


def convert(tokenizer: Tokenizer, cell: Cell, catalog: Catalog) -> Tokenizer:
    """The tokenizer with a cell's quantizers in place of those it was trained with, in evaluation mode; to be
    fitted next.

    It shares its backbone with the given one. A cell that does not convert gets the given tokenizer itself.

    Raises:
        PluginError: the cell's quantizer does not take the latents, or make the values, that the backbone was
            trained with; or as :func:`build_tokenizer`.
    """
    if not cell.converts:
        return tokenizer.eval()
    levels = [
        LevelPlan(
            latent_channels=level.shape.latent_channels,
            code_channels=level.shape.code_channels,
            codebook_sizes=level.rate.codebook_sizes,
            arguments=level.arguments,
            target=level.target,
        )
        for level in cell.levels
    ]
    entry = catalog.get("quantizer", cell.quantizer.id)
    quantizers = _build_quantizers(cell.quantizer, levels, cell.unit.seed, entry, catalog)
    device = next(tokenizer.backbone.parameters()).device
    try:
        converted = Tokenizer(
            tokenizer.backbone, quantizers, backbone_name=tokenizer.backbone_name, quantizer_name=entry.owner
        )
    except TensorError as error:
        raise PluginError(
            f"Quantizer {cell.quantizer.id!r} cannot convert {cell.unit.quantizer.id!r}: {error.what}",
            got=error.got,
            expected=error.expected,
        ) from error
    return converted.to(device).eval()


def build_dataset(component: Component, image_size: int, catalog: Catalog) -> Dataset:
    """A planned dataset at an image size.

    Raises:
        DataError: the data is not what it should be.
        UnavailableError: the data is not on this machine.
        PluginError: the dataset cannot be built.
    """
    entry = catalog.get("dataset", component.id)
    cls = _target(catalog, entry, Dataset)  # type: ignore[type-abstract]
    return _construct(cls, entry, (image_size,), component.parameters)


def build_metric(component: Component, catalog: Catalog) -> Metric:
    """A planned metric.

    Raises:
        UnavailableError: the metric's requirement is not installed.
        PluginError: the metric cannot be built.
    """
    entry = catalog.get("metric", component.id)
    cls = _target(catalog, entry, Metric)  # type: ignore[type-abstract]
    return _construct(cls, entry, (), component.parameters)


def _build_backbone(unit: TrainUnit, shapes: Sequence[LevelShape], entry: Entry, catalog: Catalog) -> Backbone:
    with _seeded(unit.seed, "init", "backbone", entry.id):
        backbone = _construct(
            _target(catalog, entry, Backbone),  # type: ignore[type-abstract]
            entry,
            (unit.image_size, tuple(shapes)),
            unit.backbone.parameters,
        )
    kept = getattr(backbone, "image_size", None), getattr(backbone, "levels", None)
    if kept != (unit.image_size, tuple(shapes)):
        raise PluginError(
            f"{entry.owner} changed the image size or levels it was given",
            hint="Its constructor should pass them on to Backbone.__init__.",
        )
    return backbone


def _build_quantizers(
    component: Component, levels: Sequence[LevelPlan], seed: int, entry: Entry, catalog: Catalog
) -> list[Quantizer]:
    quantizers: list[Quantizer] = []
    for index, level in enumerate(levels):
        cls = _target(catalog, entry, Quantizer, level.target)  # type: ignore[type-abstract]
        with _seeded(seed, "init", "quantizer", entry.id, f"level{index}"):
            quantizer = _construct(cls, entry, (), level.arguments)
        for name in ("latent_channels", "code_channels", "codebook_sizes"):
            built, planned = getattr(quantizer, name, None), getattr(level, name)
            if built != planned:
                raise PluginError(
                    f"{entry.owner} was built with another {name} than announced for level {index}",
                    got=built,
                    expected=planned,
                )
        quantizers.append(quantizer)
    return quantizers


def _target(catalog: Catalog, entry: Entry, kind: type[Part], target: str | None = None) -> type[Part]:
    """A component's class; ``target`` in place of the descriptor's."""
    cls = catalog.load_target(entry)  # checks its requirements, also where a level has a target of its own
    if target is not None:
        cls = catalog.load_target(target)
    if not (isinstance(cls, type) and issubclass(cls, kind)):
        raise PluginError(f"{entry.owner} has a wrong target", got=repr(cls), expected=f"a {kind.__name__} class")
    return cls


def _construct(cls: type[Part], entry: Entry, arguments: tuple[Any, ...], parameters: Mapping[str, Any]) -> Part:
    with calling(entry.owner, "__init__"):
        return cls(*arguments, **parameters)


@contextlib.contextmanager
def _seeded(seed: int, *names: str) -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive_seed(seed, *names))
        yield
