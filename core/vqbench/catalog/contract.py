"""What a component's descriptor must satisfy to be registered."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from vqbench.assets import WEIGHTS
from vqbench.catalog.parameters import TYPES, resolve_parameters
from vqbench.errors import PluginError, VQBenchError
from vqbench.specs import (
    AnySpec,
    BackboneSpec,
    ComponentSpec,
    DatasetSpec,
    MetricSpec,
    Parameter,
    PublishedSpec,
    QuantizerSpec,
    Requirement,
    SuiteSpec,
)

__all__ = ["HOOKS", "TARGET", "check_component", "is_int"]

HOOKS: dict[str, type[ComponentSpec] | type[SuiteSpec] | type[PublishedSpec]] = {
    "vqbench_quantizers": QuantizerSpec,
    "vqbench_backbones": BackboneSpec,
    "vqbench_datasets": DatasetSpec,
    "vqbench_metrics": MetricSpec,
    "vqbench_suites": SuiteSpec,
    "vqbench_published": PublishedSpec,
}
"""Each hook, and the descriptor it returns."""

NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
TARGET = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
MAX_NAME = 100
MAX_IMAGE_SIZES = 8192
# values of fields that are one of a few words
WORDS = {"objective": ("reconstruction", "elbo"), "better": ("higher", "lower")}


def check_component(spec: AnySpec) -> None:
    """Check a descriptor whose class is right already.

    Raises:
        PluginError: a field has a wrong type or form; the message names component and field.
    """
    if not isinstance(spec.name, str) or not NAME.fullmatch(spec.name) or len(spec.name) > MAX_NAME:
        raise PluginError(
            f"a {spec.kind} has an invalid name",
            got=repr(spec.name)[:MAX_NAME],
            expected=f"lower case letters, digits, '.', '_' and '-', at most {MAX_NAME} of them",
        )
    owner = f"{spec.kind} {spec.name!r}"
    _text(owner, "summary", spec.summary)
    if isinstance(spec, SuiteSpec | PublishedSpec):
        if not isinstance(spec.path, Path) or not spec.path.is_file():
            raise PluginError(f"{owner}: path is not an existing file", got=spec.path, expected="a pathlib.Path")
        return
    if not isinstance(spec.target, str) or not TARGET.fullmatch(spec.target):
        raise _bad(owner, "target", spec.target, "'package.module:Class'")
    if not is_int(spec.version) or spec.version < 1:
        raise _bad(owner, "version", spec.version, "an integer of at least 1")
    for field in ("paper", "licence"):
        if getattr(spec, field) is not None:
            _text(owner, field, getattr(spec, field))
    _tuple(owner, "requires", spec.requires, Requirement)
    for requirement in spec.requires:
        _text(owner, "requires: module", requirement.module)
        _text(owner, "requires: install", requirement.install)
    if not isinstance(spec.capabilities, frozenset | set) or not all(isinstance(c, str) for c in spec.capabilities):
        raise _bad(owner, "capabilities", spec.capabilities, "a frozenset of strings")
    _check_kind(owner, spec)
    _check_parameters(owner, spec)


def _check_kind(owner: str, spec: ComponentSpec) -> None:
    """The fields that only one kind of component has."""
    for field, words in WORDS.items():
        if hasattr(spec, field) and getattr(spec, field) not in words:
            raise _bad(owner, field, getattr(spec, field), " or ".join(map(repr, words)))
    for field, optional in (("levels", False), ("trains_as", True), ("check", True), ("revision", False)):
        if hasattr(spec, field):
            value = getattr(spec, field)
            if not callable(value) and not (optional and value is None):
                raise _bad(owner, field, value, "a function of the parameters")
    if isinstance(spec, DatasetSpec):
        for field in ("assets", "fetch"):
            if (value := getattr(spec, field)) is not None and not (isinstance(value, str) and TARGET.fullmatch(value)):
                raise _bad(owner, field, value, "'package.module:function'")
        sizes = spec.image_sizes
        known = isinstance(sizes, range) or (isinstance(sizes, tuple) and all(map(is_int, sizes)))
        if sizes is not None and not (known and 0 < len(sizes) <= MAX_IMAGE_SIZES):
            raise _bad(owner, "image_sizes", sizes, f"a tuple or range of at most {MAX_IMAGE_SIZES} integers")
    if isinstance(spec, MetricSpec):
        _text(owner, "unit", spec.unit, empty=True)
        _text(owner, "protocol", spec.protocol)
        _tuple(owner, "weights", spec.weights, str)
        if unknown := [name for name in spec.weights if name not in WEIGHTS]:
            raise _bad(owner, "weights", unknown[0], "names of " + ", ".join(WEIGHTS))


def _check_parameters(owner: str, spec: ComponentSpec) -> None:
    _tuple(owner, "parameters", spec.parameters, Parameter)
    seen: set[str] = set()
    for parameter in spec.parameters:
        if not isinstance(parameter.name, str) or not parameter.name.isidentifier():
            raise _bad(owner, "parameters", parameter.name, "names that are Python identifiers")
        if parameter.name in seen:
            raise PluginError(f"{owner} has two parameters called {parameter.name!r}")
        seen.add(parameter.name)
        if parameter.type not in TYPES:
            raise _bad(owner, f"type of {parameter.name}", parameter.type, "one of " + ", ".join(TYPES))
        _text(owner, f"summary of {parameter.name}", parameter.summary)
        for bound in ("minimum", "maximum"):
            value = getattr(parameter, bound)
            if value is not None and not (is_int(value) or isinstance(value, float)):
                raise _bad(owner, f"{bound} of {parameter.name}", value, "a number or None")
        if parameter.choices is not None:
            _tuple(owner, f"choices of {parameter.name}", parameter.choices, object)
    if not isinstance(spec.presets, Mapping):
        raise _bad(owner, "presets", spec.presets, "a mapping of names to parameters")
    for preset, values in spec.presets.items():
        _text(owner, "name of a preset", preset)
        if not isinstance(values, Mapping):
            raise _bad(owner, f"preset {preset!r}", values, "a mapping of parameters to values")
    for name in (None, *spec.presets):
        try:
            resolve_parameters(spec, preset=name)
        except VQBenchError as error:
            source = "its defaults" if name is None else f"its preset {name!r}"
            raise PluginError(f"{owner} breaks its own rules with {source}: {error}") from None


def _text(owner: str, field: str, value: object, *, empty: bool = False) -> None:
    if not isinstance(value, str) or not (value.strip() or empty):
        raise _bad(owner, field, value, "a string")


def _tuple(owner: str, field: str, value: object, kind: type) -> None:
    if not isinstance(value, tuple) or not all(isinstance(v, kind) for v in value):
        raise _bad(owner, field, value, f"a tuple of {kind.__name__}")


def is_int(value: object) -> bool:
    """Whether a value is an integer; True is none."""
    return isinstance(value, int) and not isinstance(value, bool)


def _bad(owner: str, field: str, value: object, expected: str) -> PluginError:
    text = repr(value)
    return PluginError(
        f"{owner}: {field} is malformed", got=text if len(text) <= 200 else text[:197] + "...", expected=expected
    )
