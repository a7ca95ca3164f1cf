"""The matrix as data: train units, cells, skips."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from vqbench.canonical import content_id
from vqbench.plan.timing import Timing
from vqbench.rate import Bits, LevelRate
from vqbench.specs import LevelShape

__all__ = ["PROTOCOL_VERSION", "Cell", "Component", "Level", "Plan", "Skip", "TrainUnit"]

PROTOCOL_VERSION = 1
"""Bumped whenever training or evaluation in core changes the numbers; part of every identity."""


@dataclass(frozen=True, kw_only=True)
class Component:
    """A component with its complete parameters: full id, the author's version, name → JSON value.

    ``local`` names the parameters that only say where something lies on this machine; ``weights`` are those a metric needs;
    ``distribution`` is what a third party's was installed from, with its version, else None. ``module`` is where the class of a
    built-in one lies; a third party's is left alone until a worker of its own needs it.
    """

    id: str
    version: int
    parameters: Mapping[str, Any]
    local: tuple[str, ...] = ()
    weights: tuple[str, ...] = ()
    distribution: str | None = None
    module: str | None = None

    @property
    def identity(self) -> dict[str, Any]:
        """What ids are made of."""
        parameters = {name: value for name, value in self.parameters.items() if name not in self.local}
        return {"id": self.id, "version": self.version, "parameters": parameters}

    @property
    def name(self) -> str:
        """The short name of a built-in component, the full id of any other: how a record names a metric."""
        return self.id.removeprefix("vqbench/")


@dataclass(frozen=True, kw_only=True)
class Level:
    """One level of a tokenizer as planned: its shape, its rate and how its quantizer is built.

    ``target`` (``"package.module:Class"``) is None where the descriptor's own target applies.
    """

    shape: LevelShape
    rate: LevelRate
    arguments: Mapping[str, Any]
    target: str | None


@dataclass(frozen=True, kw_only=True)
class TrainUnit:
    """One training run: everything that determines the weights.

    ``recipe`` is a dumped :class:`~vqbench.plan.recipe.Recipe`; ``objective`` is the quantizer's declared one.
    """

    quantizer: Component
    backbone: Component
    dataset: Component
    revision: str
    image_size: int
    stride: int
    recipe: Mapping[str, Any]
    seed: int
    objective: str

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What the id is a hash of."""
        components = {kind: getattr(self, kind).identity for kind in ("quantizer", "backbone", "dataset")}
        rest = ("revision", "image_size", "stride", "recipe", "seed", "objective")
        return {"protocol": PROTOCOL_VERSION, **components, **{name: getattr(self, name) for name in rest}}

    @cached_property
    def id(self) -> str:
        """Content hash, 16 hexadecimal digits."""
        return content_id(self.identity)


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One point of the matrix: a quantizer evaluated on what its train unit trained.

    ``label`` and ``backbone_label`` are for display and not part of the identity. ``bits`` is None for a continuous latent.
    """

    unit: TrainUnit
    quantizer: Component
    label: str
    backbone_label: str
    dataset_label: str
    levels: tuple[Level, ...]
    bits: Bits | None

    @cached_property
    def id(self) -> str:
        """Content hash, 16 hexadecimal digits."""
        return content_id({"unit": self.unit.id, "quantizer": self.quantizer.identity})

    @cached_property
    def protocol(self) -> dict[str, Any]:
        """What two cells must share for their quality to be ranked together."""
        unit = self.unit
        return {
            "version": PROTOCOL_VERSION,
            "dataset": unit.dataset.identity,
            "revision": unit.revision,
            "image_size": unit.image_size,
            "images_seen": unit.recipe["steps"] * unit.recipe["batch_size"],
        }

    @property
    def converts(self) -> bool:
        """Whether the quantizer is put in after training, on weights trained with another."""
        return self.quantizer != self.unit.quantizer

    @property
    def name(self) -> str:
        """``quantizer × backbone · dataset · seed N``, for people."""
        return f"{self.label} × {self.backbone_label} · {self.dataset_label} · seed {self.unit.seed}"


@dataclass(frozen=True, kw_only=True)
class Skip:
    """Cells of the matrix that will not run, and why."""

    quantizer: str
    backbone: str
    dataset: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run would do, in order."""

    suite: str
    cells: tuple[Cell, ...]
    skips: tuple[Skip, ...]
    metrics: tuple[Component, ...]
    evaluation_batch_size: int
    timing: Timing = field(default_factory=Timing)

    @cached_property
    def units(self) -> tuple[TrainUnit, ...]:
        """The train units the cells need, each once, in the order of their first cell."""
        return tuple({cell.unit.id: cell.unit for cell in self.cells}.values())
