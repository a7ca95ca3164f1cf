"""Descriptors: what a plugin says about each of its components.

Frozen and light: making one imports neither torch nor the component. ``target`` is a lazy ``"package.module:Class"`` that is
imported only where the component runs. The few callables a descriptor carries (how many levels, what it trains as) are pure
arithmetic on parameters, so that planning a matrix needs no torch either.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeAlias

__all__ = [
    "AnySpec",
    "BackboneSpec",
    "ComponentSpec",
    "DatasetSpec",
    "LevelPlan",
    "LevelShape",
    "MetricSpec",
    "Parameter",
    "Parameters",
    "PublishedSpec",
    "QuantizerSpec",
    "Requirement",
    "SuiteSpec",
    "TrainsAs",
]

Parameters: TypeAlias = Mapping[str, Any]
"""A component's parameters: names to JSON values."""


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One parameter of a component.

    ``type`` is a JSON-level type; ``ints`` and ``floats`` are lists. ``default`` of None makes None a legal value.
    ``choices`` and the closed range ``[minimum, maximum]`` (of a list: of each entry) limit it further. A ``local`` parameter
    says where something lies on this machine: it is no part of a cell's identity, nor of its record.
    """

    name: str
    type: Literal["int", "float", "bool", "str", "ints", "floats"]
    default: Any
    summary: str
    choices: tuple[Any, ...] | None = None
    minimum: float | None = None
    maximum: float | None = None
    local: bool = False


@dataclass(frozen=True, kw_only=True)
class Requirement:
    """Something beyond vqbench's own dependencies: an importable ``module``, and how to get it."""

    module: str
    install: str


@dataclass(frozen=True, kw_only=True)
class LevelShape:
    """One resolution of the latent, as a backbone sees it.

    ``stride`` is in pixels per latent position; ``latent_channels`` are asked of the encoder, ``code_channels`` are given to
    the decoder.
    """

    stride: int
    latent_channels: int
    code_channels: int


@dataclass(frozen=True, kw_only=True)
class LevelPlan:
    """One level of a quantizer, before anything is built.

    ``relative_stride`` is relative to the finest level: 1 there, 2, 4 … for coarser ones. ``arguments`` are the keyword
    arguments of the target class; ``target`` overrides the descriptor's for this level. ``codebook_sizes`` is empty for a
    continuous latent.
    """

    latent_channels: int
    code_channels: int
    codebook_sizes: tuple[int, ...]
    arguments: Parameters
    relative_stride: int = 1
    target: str | None = None


@dataclass(frozen=True, kw_only=True)
class TrainsAs:
    """Which quantizer, with which parameters, is trained in place of a post-training method.

    ``quantizer`` is a full id, ``plugin/name``. All cells whose quantizers train as the same thing share one training run.
    """

    quantizer: str
    parameters: Parameters


@dataclass(frozen=True, kw_only=True)
class ComponentSpec:
    """What all kinds of components say about themselves.

    Attributes:
        name: short name, lower case, ``[a-z0-9][a-z0-9._-]*``.
        target: ``"package.module:Class"``, imported late.
        summary: one line.
        version: bumped by the author whenever the component's numbers change; part of every cell's identity.
        parameters: what can be set, with types and defaults.
        presets: named sets of parameters; a suite may name one and override single values.
        requires: what must be importable.
        paper: citation or link.
        licence: SPDX name.
        capabilities: free words that tools may look for, e.g. ``"continuous"``.
    """

    kind: ClassVar[str] = "component"

    name: str
    target: str
    summary: str
    version: int = 1
    parameters: tuple[Parameter, ...] = ()
    presets: Mapping[str, Parameters] = field(default_factory=dict)
    requires: tuple[Requirement, ...] = ()
    paper: str | None = None
    licence: str | None = None
    capabilities: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class QuantizerSpec(ComponentSpec):
    """A vector quantizer.

    Attributes:
        capabilities: two of them the conformance kit minds: ``"positional"``: the codes of a latent depend on where it lies
            (say by noise of its own at each position); ``"spatial"``: the codes of a position depend on other positions.
        levels: its levels for given (complete, validated) parameters, coarse to fine; raises
            :class:`~vqbench.errors.ParameterError` for parameters that do not go together.
        trains_as: what is trained in its place; None, or a function that returns None, means itself.
        objective: ``"reconstruction"`` (mean error plus weighted losses) or ``"elbo"`` (D/2 log of the squared error plus nats).
    """

    kind: ClassVar[str] = "quantizer"

    levels: Callable[[Parameters], Sequence[LevelPlan]]
    trains_as: Callable[[Parameters], TrainsAs | None] | None = None
    objective: Literal["reconstruction", "elbo"] = "reconstruction"


@dataclass(frozen=True, kw_only=True)
class BackboneSpec(ComponentSpec):
    """An encoder and decoder family.

    ``check(parameters, image_size, levels)`` raises :class:`~vqbench.errors.ParameterError` for a combination that cannot be
    built; it is called when planning, without torch.
    """

    kind: ClassVar[str] = "backbone"

    check: Callable[[Parameters, int, Sequence[LevelShape]], None] | None = None


@dataclass(frozen=True, kw_only=True)
class DatasetSpec(ComponentSpec):
    """Images to train on and to test on.

    Attributes:
        revision: ``revision(parameters)`` identifies the content (a pinned version, or a checksum of what is on disk) without
            torch; raises :class:`~vqbench.errors.UnavailableError` where the data is not here.
            It may go through all of the data: no time limit applies.
        image_sizes: those it has, as a tuple or a range; None means any.
        assets: a lazy target ``"package.module:function"`` for data that can be fetched: ``function(parameters)`` returns the
            assets (:class:`vqbench.assets.Asset`) that ``vqbench data fetch NAME`` gets. None: nothing is fetched.
        fetch: the same for data that is not known by hash beforehand: ``function(parameters, report)`` gets it, tells
            ``report(text)`` how it goes, and returns the folder.
    """

    kind: ClassVar[str] = "dataset"

    revision: Callable[[Parameters], str]
    image_sizes: tuple[int, ...] | range | None = None
    assets: str | None = None
    fetch: str | None = None


@dataclass(frozen=True, kw_only=True)
class MetricSpec(ComponentSpec):
    """A number that is measured on originals and reconstructions.

    ``better`` is the direction; ``protocol`` says in a few words which of the definitions of that name it is. ``weights`` names
    the pretrained weights it needs (those of ``vqbench weights``): a null for want of them is measured once they are here.
    The capability ``"symmetric"`` says that originals and reconstructions may change places.
    """

    kind: ClassVar[str] = "metric"

    unit: str
    better: Literal["higher", "lower"]
    protocol: str
    weights: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SuiteSpec:
    """A suite file (TOML) that users run by name; ``path`` is package data of the plugin."""

    kind: ClassVar[str] = "suite"

    name: str
    summary: str
    path: Path


@dataclass(frozen=True, kw_only=True)
class PublishedSpec:
    """A file (TOML) of numbers that others published, with protocol and source of each; ``path`` is package data of the plugin.

    Leaderboards show them apart, as reference, and rank nothing by them.
    """

    kind: ClassVar[str] = "publication"

    name: str
    summary: str
    path: Path


AnySpec: TypeAlias = ComponentSpec | SuiteSpec | PublishedSpec
"""What a hook may return."""
