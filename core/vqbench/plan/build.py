"""Crosses a suite into train units and cells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, TypeVar

from pydantic import ValidationError

from vqbench.catalog import (
    Catalog,
    Entry,
    check_levels,
    levels_of,
    missing_requirements,
    resolve_parameters,
    revision_of,
    training_of,
)
from vqbench.errors import (
    ParameterError,
    SuiteError,
    UnavailableError,
    UnequalBitsError,
    UsageError,
    VQBenchError,
    closest,
)
from vqbench.plan.matrix import Cell, Component, Level, Plan, Skip, TrainUnit
from vqbench.plan.recipe import Recipe
from vqbench.plan.suite import BackboneEntry, DatasetEntry, QuantizerEntry, Suite, explain_recipe
from vqbench.rate import Bits, LevelRate
from vqbench.specs import DatasetSpec, LevelPlan, LevelShape, MetricSpec, QuantizerSpec

__all__ = ["PlanFilter", "build_plan"]

MAX_CELLS = 100_000
AnyEntry = TypeVar("AnyEntry", QuantizerEntry, BackboneEntry, DatasetEntry)


@dataclass(frozen=True, kw_only=True)
class PlanFilter:
    """Which part of a suite to plan: globs on labels, short names or full ids; numbers for seeds. Empty means all."""

    quantizers: tuple[str, ...] = ()
    backbones: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _Resolved:
    """An entry of the suite with its component and complete parameters."""

    entry: Entry
    component: Component
    label: str
    recipe: Mapping[str, Any]
    image_size: int  # of a dataset; 0 otherwise
    reason: str | None  # why it cannot run here


@dataclass(frozen=True, kw_only=True)
class _Trained:
    """What a quantizer trains as."""

    entry: Entry
    component: Component


def build_plan(suite: Suite, catalog: Catalog, *, source: str = "suite", only: PlanFilter | None = None) -> Plan:
    """Cross quantizers × backbones × datasets × seeds.

    Args:
        suite: a validated suite.
        catalog: where its components are looked up.
        source: the file's name, for messages.
        only: plan a part; the rest is left out silently.

    Raises:
        SuiteError: an unknown or repeated entry, wrong parameters, impossible combinations.
        UnequalBitsError: the suite demands equal bits and its cells do not have them.
        PluginError: a component belongs to a plugin that failed to load.
        UsageError: a filter selects nothing.
    """
    only = only or PlanFilter()
    quantizers = _resolve(suite.quantizers, "quantizer", "quantizers", catalog, source)
    backbones = _resolve(suite.backbones, "backbone", "backbones", catalog, source)
    datasets = _resolve(suite.data, "dataset", "data", catalog, source)
    metrics = tuple(
        _component(entry := catalog.get("metric", name), resolve_parameters(entry.spec, {}))
        for name in dict.fromkeys(suite.evaluation.metrics)
    )
    for selected, patterns, flag in (
        (quantizers, only.quantizers, "-q"),
        (backbones, only.backbones, "-b"),
        (datasets, only.datasets, "-d"),
    ):
        _filter(selected, patterns, flag)
    seeds = _seeds(suite.seeds, only.seeds)
    if (n := len(quantizers) * len(backbones) * len(datasets) * len(seeds)) > MAX_CELLS:
        raise SuiteError(f"{source}: the matrix is too large", got=f"{n} cells", expected=f"at most {MAX_CELLS}")

    levels = {id(q): _levels(q, source) for q in quantizers}
    trained = {id(q): _trained(q, catalog, source) for q in quantizers}
    for dataset in datasets:
        _check_image_size(dataset, source)
    revisions = [_revision(d) for d in datasets]
    cells: list[Cell] = []
    skips: list[Skip] = []
    for dataset, (revision, missing) in zip(datasets, revisions, strict=True):
        for backbone in backbones:
            for quantizer in quantizers:
                names = (quantizer.label, backbone.label, dataset.label)
                reason = missing or quantizer.reason or backbone.reason or dataset.reason
                reason = reason or _excluded(suite, *names)
                if reason:
                    skips.append(Skip(quantizer=names[0], backbone=names[1], dataset=names[2], reason=reason))
                    continue
                shaped = _shape(levels[id(quantizer)], suite.stride, dataset.image_size, quantizer, backbone, source)
                recipe = _recipe(suite, quantizer, backbone, source)
                rates = [level.rate for level in shaped]
                train = trained[id(quantizer)]
                assert isinstance(train.entry.spec, QuantizerSpec)
                for seed in seeds:
                    unit = TrainUnit(
                        quantizer=train.component,
                        backbone=backbone.component,
                        dataset=dataset.component,
                        revision=revision,
                        image_size=dataset.image_size,
                        stride=suite.stride,
                        recipe=recipe,
                        seed=seed,
                        objective=train.entry.spec.objective,
                    )
                    cells.append(
                        Cell(
                            unit=unit,
                            quantizer=quantizer.component,
                            label=quantizer.label,
                            backbone_label=backbone.label,
                            dataset_label=dataset.label,
                            levels=shaped,
                            bits=Bits.of(rates) if all(r.codebook_sizes for r in rates) else None,
                        )
                    )
    _check_unique(cells, source)
    if suite.equal_bits:
        _check_bits(cells, suite.equal_bits, source)
    return Plan(
        suite=suite.name,
        cells=tuple(cells),
        skips=tuple(skips),
        metrics=metrics,
        evaluation_batch_size=suite.evaluation.batch_size,
        timing=suite.timing,
    )


def _resolve(entries: Sequence[AnyEntry], kind: str, key: str, catalog: Catalog, source: str) -> list[_Resolved]:
    resolved: dict[str, _Resolved] = {}
    for index, given in enumerate(entries):
        where = f"{source}: {key}[{index}]"
        entry = catalog.get(kind, given.name)
        try:
            parameters = resolve_parameters(entry.spec, given.params, given.preset)
        except ParameterError as error:
            raise _at(where, error) from error
        label = given.label or (entry.spec.name if given.name == entry.spec.name else entry.id)
        if label in resolved:
            raise SuiteError(f"{where} is called {label!r} like an earlier entry", hint="Give one of them a label")
        lacking = missing_requirements(entry.spec)
        resolved[label] = _Resolved(
            entry=entry,
            component=_component(entry, parameters),
            label=label,
            recipe={} if isinstance(given, DatasetEntry) else given.recipe,
            image_size=given.image_size if isinstance(given, DatasetEntry) else 0,
            reason=f"{lacking[0].module} is not installed: {lacking[0].install}" if lacking else None,
        )
    return list(resolved.values())


def _component(entry: Entry, parameters: Mapping[str, Any]) -> Component:
    local = tuple(parameter.name for parameter in entry.spec.parameters if parameter.local)
    weights = entry.spec.weights if isinstance(entry.spec, MetricSpec) else ()
    third_party = entry.distribution is not None and not entry.builtin
    return Component(
        id=entry.id,
        version=entry.spec.version,
        parameters=dict(parameters),
        local=local,
        weights=weights,
        distribution=f"{entry.distribution} {entry.distribution_version}" if third_party else None,
        module=entry.spec.target.partition(":")[0] if entry.builtin else None,
    )


def _at(where: str, error: VQBenchError) -> VQBenchError:
    kind = type(error)
    return kind(f"{where}: {error.what}", got=error.got, expected=error.expected, hint=error.hint)


def _filter(resolved: list[_Resolved], patterns: Iterable[str], flag: str) -> None:
    patterns = tuple(patterns)
    if not patterns:
        return
    names = [(r.label, r.entry.spec.name, r.entry.id) for r in resolved]
    for pattern in patterns:
        if not any(fnmatchcase(n, pattern) for row in names for n in row):
            labels = [r.label for r in resolved]
            raise UsageError(
                f"{flag} {pattern} selects nothing in this suite",
                expected="one of " + ", ".join(labels),
                hint=closest(pattern, labels),
            )
    keep = [any(fnmatchcase(n, p) for n in row for p in patterns) for row in names]
    resolved[:] = [r for r, kept in zip(resolved, keep, strict=True) if kept]


def _seeds(seeds: Sequence[int], chosen: Sequence[int]) -> list[int]:
    if not chosen:
        return list(dict.fromkeys(seeds))
    if unknown := [s for s in chosen if s not in seeds]:
        raise UsageError(f"-s {unknown[0]} is not a seed of this suite", expected=f"one of {list(seeds)}")
    return list(dict.fromkeys(chosen))


def _levels(quantizer: _Resolved, source: str) -> Sequence[LevelPlan]:
    try:
        return levels_of(quantizer.entry, quantizer.component.parameters)
    except ParameterError as error:
        raise _at(f"{source}: {quantizer.label}", error) from error


def _trained(quantizer: _Resolved, catalog: Catalog, source: str) -> _Trained:
    try:
        trains_as = training_of(quantizer.entry, quantizer.component.parameters)
        if trains_as is None:
            return _Trained(entry=quantizer.entry, component=quantizer.component)
        entry = catalog.get("quantizer", trains_as.quantizer)
        parameters = resolve_parameters(entry.spec, trains_as.parameters)
    except ParameterError as error:
        raise _at(f"{source}: {quantizer.label}", error) from error
    return _Trained(entry=entry, component=_component(entry, parameters))


def _check_image_size(dataset: _Resolved, source: str) -> None:
    spec = dataset.entry.spec
    assert isinstance(spec, DatasetSpec)
    sizes = spec.image_sizes
    if sizes is not None and dataset.image_size not in sizes:
        known = f"{sizes[0]} to {sizes[-1]}" if isinstance(sizes, range) else " or ".join(map(str, sizes))
        raise ParameterError(
            f"{source}: the dataset {dataset.label!r} has no images of that size",
            got=dataset.image_size,
            expected=known,
            hint="Change data.image_size.",
        )


def _revision(dataset: _Resolved) -> tuple[str, str | None]:
    """The dataset's revision, or the reason why it is not here."""
    try:
        return revision_of(dataset.entry, dataset.component.parameters), None
    except UnavailableError as error:
        return "", str(error)


def _excluded(suite: Suite, quantizer: str, backbone: str, dataset: str) -> str | None:
    for rule in suite.exclude:
        pairs = ((quantizer, rule.quantizer), (backbone, rule.backbone), (dataset, rule.dataset))
        if all(fnmatchcase(name, pattern) for name, pattern in pairs):
            return rule.reason
    return None


def _shape(
    levels: Sequence[LevelPlan],
    stride: int,
    image_size: int,
    quantizer: _Resolved,
    backbone: _Resolved,
    source: str,
) -> tuple[Level, ...]:
    """The levels at a stride and image size, checked by the backbone."""
    where = f"{source}: {quantizer.label} × {backbone.label}"
    shapes = [
        LevelShape(
            stride=stride * level.relative_stride,
            latent_channels=level.latent_channels,
            code_channels=level.code_channels,
        )
        for level in levels
    ]
    for shape in shapes:
        if image_size % shape.stride:
            raise SuiteError(
                f"{where}: the image size is not divisible by the stride of a level",
                got=f"{image_size} and {shape.stride}",
                hint="Change data.image_size or stride.",
            )
    try:
        check_levels(backbone.entry, backbone.component.parameters, image_size, shapes)
    except ParameterError as error:
        raise _at(where, error) from error
    return tuple(
        Level(
            shape=shape,
            rate=LevelRate(
                height=image_size // shape.stride,
                width=image_size // shape.stride,
                codebook_sizes=tuple(level.codebook_sizes),
            ),
            arguments=level.arguments,
            target=level.target,
        )
        for shape, level in zip(shapes, levels, strict=True)
    )


def _recipe(suite: Suite, quantizer: _Resolved, backbone: _Resolved, source: str) -> dict[str, Any]:
    """The suite's recipe with a backbone's, then a quantizer's overrides."""
    merged = suite.recipe.model_dump()
    for key, resolved in (("backbones", backbone), ("quantizers", quantizer)):
        if resolved.recipe:
            merged |= resolved.recipe
            try:
                merged = Recipe.model_validate(merged).model_dump()
            except ValidationError as error:
                raise explain_recipe(error, source, f"{key}.{resolved.label}.recipe") from None
    return merged


def _check_unique(cells: Sequence[Cell], source: str) -> None:
    seen: dict[str, Cell] = {}
    for cell in cells:
        if cell.id in seen:
            raise SuiteError(
                f"{source}: {seen[cell.id].name} and {cell.name} are the same cell",
                hint="Remove one of them.",
            )
        seen[cell.id] = cell


def _check_bits(cells: Sequence[Cell], demanded: bool | int, source: str) -> None:
    """Every cell with codes has the demanded bits per image, or as many as the first; decided exactly."""
    coded = [(cell, cell.bits) for cell in cells if cell.bits is not None]
    if not coded:
        return
    expected = coded[0][1] if demanded is True else Bits.whole(int(demanded))
    wrong = {cell.label: bits for cell, bits in coded if bits != expected}
    if wrong:
        raise UnequalBitsError(
            f"{source}: bits per image are unequal and the suite demands equal_bits",
            got=", ".join(f"{label} {bits}" for label, bits in wrong.items()),
            expected=f"{expected} for every method",
            hint="Change codebook sizes or tokens, or drop equal_bits (unequal cells are ranked apart).",
        )
