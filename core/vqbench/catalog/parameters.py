"""Turns what a suite says about a component's parameters into the complete, canonical set."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from vqbench.errors import ParameterError, closest
from vqbench.specs import ComponentSpec, Parameter, Parameters

__all__ = ["TYPES", "resolve_parameters"]

MAX_LIST = 1024
MAX_STRING = 4096
MAX_INT = 2**63  # what TOML and int64 tensors hold
TYPES = {
    "int": "an integer",
    "float": "a number",
    "bool": "true or false",
    "str": "a string",
    "ints": "a list of integers",
    "floats": "a list of numbers",
}
"""The types of parameters, in words."""


def resolve_parameters(
    spec: ComponentSpec, given: Parameters | None = None, preset: str | None = None
) -> dict[str, Any]:
    """All parameters of a component: its defaults, then those of a preset, then the given ones.

    Values come out canonical, in the order of the descriptor: integers given for a number become floats, tuples become
    lists.

    Raises:
        ParameterError: an unknown parameter or preset, or a value of the wrong type, out of range or not finite.
    """
    owner = f"{spec.kind} {spec.name!r}"
    known = {p.name: p for p in spec.parameters}
    chosen: dict[str, Any] = {}
    if preset is not None:
        if preset not in spec.presets:
            raise ParameterError(
                f"{owner} has no preset of that name",
                got=repr(preset),
                expected=_one_of(spec.presets, "it has no presets"),
                hint=closest(preset, spec.presets),
            )
        chosen.update(spec.presets[preset])
    chosen.update(given or {})
    for name in chosen:
        if name not in known:
            raise ParameterError(
                f"{owner} has no parameter of that name",
                got=repr(name),
                expected=_one_of(known, "it has no parameters"),
                hint=closest(str(name), known),
            )
    return {
        name: _canonical(parameter, chosen.get(name, parameter.default), owner) for name, parameter in known.items()
    }


def _canonical(parameter: Parameter, value: Any, owner: str) -> Any:
    """A value of a parameter, checked against its type, choices and range, in its canonical form."""
    where = f"{owner}: parameter {parameter.name!r}"
    if value is None:
        if parameter.default is None:
            return None
        raise _wrong(where, parameter, value)
    if parameter.type not in ("ints", "floats"):
        return _scalar(parameter, parameter.type, value, where)
    if not isinstance(value, list | tuple):
        raise _wrong(where, parameter, value)
    if len(value) > MAX_LIST:
        raise ParameterError(f"{where} is too long", got=f"{len(value)} entries", expected=f"at most {MAX_LIST}")
    return [_scalar(parameter, parameter.type[:-1], v, f"{where}, entry {i}") for i, v in enumerate(value)]


def _scalar(parameter: Parameter, kind: str, value: Any, where: str) -> Any:
    # bool is a subclass of int, and True is not a number of channels
    fits = {
        "int": isinstance(value, int) and not isinstance(value, bool),
        "float": isinstance(value, int | float) and not isinstance(value, bool),
        "bool": isinstance(value, bool),
        "str": isinstance(value, str),
    }
    if not fits[kind]:
        raise _wrong(where, parameter, value, kind)
    if kind == "str":
        _check_string(value, where)
    elif kind == "float":
        try:
            value = float(value) + 0.0  # -0.0 becomes 0.0, or equal parameters would have two hashes
        except OverflowError:
            value = math.inf
        if not math.isfinite(value):
            raise ParameterError(f"{where} is not finite", got=value, expected="a finite number")
    elif kind == "int" and not -MAX_INT <= value < MAX_INT:
        raise ParameterError(f"{where} is too large", got=_short(value), expected="an integer of 64 bits")
    _check_limits(parameter, kind, value, where)
    return value


def _check_string(value: str, where: str) -> None:
    if len(value) > MAX_STRING:
        raise ParameterError(f"{where} is too long", got=f"{len(value)} characters", expected=f"at most {MAX_STRING}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ParameterError(f"{where} is not valid Unicode", got=ascii(value)) from None


def _check_limits(parameter: Parameter, kind: str, value: Any, where: str) -> None:
    if parameter.choices is not None and value not in parameter.choices:
        raise ParameterError(
            f"{where} is none of its choices",
            got=_short(value),
            expected="one of " + ", ".join(repr(c) for c in parameter.choices),
            hint=closest(value, [c for c in parameter.choices if isinstance(c, str)]) if kind == "str" else None,
        )
    if kind not in ("int", "float"):
        return
    low, high = parameter.minimum, parameter.maximum
    if (low is not None and value < low) or (high is not None and value > high):
        bounds = (f"at least {low}" if low is not None else "", f"at most {high}" if high is not None else "")
        raise ParameterError(f"{where} is out of range", got=value, expected=" and ".join(b for b in bounds if b))


def _wrong(where: str, parameter: Parameter, value: Any, kind: str | None = None) -> ParameterError:
    expected = TYPES[kind or parameter.type]
    if parameter.default is None and kind in (None, parameter.type):
        expected += " or none"
    got = "none" if value is None else f"{_short(value)} ({type(value).__name__})"
    return ParameterError(f"{where} has the wrong type", got=got, expected=expected)


def _one_of(names: Mapping[str, Any], otherwise: str) -> str:
    return "one of " + ", ".join(names) if names else f"none, since {otherwise}"


def _short(value: Any) -> str:
    try:
        text = repr(value)
    except Exception:  # e.g. an integer of more digits than Python prints
        text = "a value that cannot be printed"
    return text if len(text) <= 100 else text[:97] + "..."
