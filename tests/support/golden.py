"""Golden vectors: inputs and results recorded from original implementations.

The indexes of ``tests/golden`` (``index.json`` and ``index_<family>.json``) say for each case where it came from
(repository and commit), which published variant it is, its parameters, its arrays and how closely they must be met.
The arrays of a family lie in one ``.npz`` beside its index; a field's role is ``input``, ``cotangent``, ``expected`` or
``margin`` (how far the runner-up of a decision was). Equal arrays are stored once.

What tests compare is noted in :data:`COMPARED`, of which ``conformance_table.py`` makes ``docs/conformance.md``.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

__all__ = ["COMPARED", "Case", "as_image", "case", "codes_from_image", "from_image", "index", "names"]

FOLDER = Path(__file__).parent.parent / "golden"
COMPARED: dict[str, dict[str, set[str]]] = {}
"""Of each test that ran in this process, the cases it read and the fields of them that it found to agree."""


def _note(case: str, *fields: str) -> None:
    if test := os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" (")[0]:
        COMPARED.setdefault(test, {}).setdefault(case, set()).update(fields)


@cache
def index() -> dict[str, dict[str, Any]]:
    """All cases as the indexes describe them."""
    merged: dict[str, dict[str, Any]] = {}
    for path in sorted(FOLDER.glob("index*.json")):
        entries = json.loads(path.read_text())
        assert not merged.keys() & entries.keys(), f"{path.name} names a case that another index has"
        merged |= entries
    return merged


@cache
def _store(file: str) -> dict[str, npt.NDArray[Any]]:
    with np.load(FOLDER / file, allow_pickle=False) as store:
        return dict(store)


def names(*variants: str, rule: str | None = None) -> list[str]:
    """Cases of any of the variants (a trailing ``*`` matches any ending) and, if given, of one rule; never none."""

    def matches(variant: str) -> bool:
        return any(variant.startswith(v[:-1]) if v.endswith("*") else variant == v for v in variants)

    found = [
        name
        for name, entry in index().items()
        if (not variants or matches(entry["variant"])) and rule in (None, entry["rule"])
    ]
    assert found, f"no golden case of variants {variants} and rule {rule}"
    return found


def case(name: str) -> Case:
    """The case of that name."""
    entry = index()[name]
    _note(name)
    store = _store(entry["file"])
    return Case(
        name=name,
        variant=entry["variant"],
        parameters=entry["parameters"],
        arrays={field: store[spec["array"]] for field, spec in entry["fields"].items()},
        tolerances=entry["tolerances"],
    )


@dataclass(frozen=True, kw_only=True)
class Case:
    """One recorded computation; ``case["x"]`` is a copy of a field as an array."""

    name: str
    variant: str
    parameters: dict[str, Any]
    arrays: dict[str, npt.NDArray[Any]]
    tolerances: dict[str, dict[str, Any]]

    def __contains__(self, field: str) -> bool:
        return field in self.arrays

    def __getitem__(self, field: str) -> npt.NDArray[Any]:
        return self.arrays[field].copy()

    def tensor(self, field: str, *, grad: bool = False) -> Tensor:
        """A copy of a field as a tensor, optionally a leaf that collects a gradient."""
        tensor = torch.from_numpy(np.array(self.arrays[field]))
        return tensor.requires_grad_() if grad else tensor

    def assert_close(self, field: str, got: Tensor | npt.ArrayLike, *, step: int | None = None) -> None:
        """``|got - expected| <= atol + rtol * scale``; scale is the largest magnitude of the field, or of each row."""
        expected = self.arrays[field].astype(np.float64)
        if step is not None:
            expected = expected[step]
        value = _array(got).astype(np.float64)
        assert value.shape == expected.shape, f"{self.name}: {field} is {value.shape}, not {expected.shape}"
        tolerance = self.tolerances[field]
        magnitude = np.abs(expected)
        by_row = tolerance.get("scale") == "row"
        scale = magnitude.max(-1, keepdims=True) if by_row else magnitude.max()
        error = np.abs(value - expected)
        within = error <= tolerance["atol"] + tolerance["rtol"] * scale
        assert within.all(), (
            f"{self.name}: {field} is off by up to {error.max():.3g} (largest value {magnitude.max():.3g})"
        )
        _note(self.name, field)

    def assert_codes(self, field: str, got: Tensor | npt.ArrayLike, *, step: int | None = None) -> None:
        """Equal codes wherever the margin says that float32 can decide; everywhere for a case without margins."""
        expected, value = self.arrays[field], _array(got)
        tolerance = self.tolerances[field]
        assert tolerance["exact"]
        margin = self.arrays[tolerance["margin"]] if "margin" in tolerance else None
        if step is not None:
            expected = expected[step]
            margin = None if margin is None else margin[step]
        assert value.dtype == np.int64
        assert value.shape == expected.shape, f"{self.name}: {field} is {value.shape}, not {expected.shape}"
        decided = np.ones(expected.shape, bool) if margin is None else margin > tolerance["threshold"]
        wrong = (value != expected) & decided
        assert not wrong.any(), f"{self.name}: {wrong.sum()} of {decided.sum()} decided codes of {field} differ"
        _note(self.name, field)


def _array(value: Tensor | npt.ArrayLike) -> npt.NDArray[Any]:
    return value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)


def as_image(x: Tensor, layout: str) -> Tensor:
    """Vectors in a case's layout as a latent ``(B, C, h, w)``; ``blc`` has channels last and any leading axes."""
    if layout == "bchw":
        return x
    batch = len(x) if x.ndim > 2 else 1
    return x.reshape(batch, -1, x.shape[-1]).permute(0, 2, 1)[:, :, None]  # (B, C, 1, L)


def from_image(value: Tensor, layout: str, shape: tuple[int, ...]) -> Tensor:
    """A value ``(B, C, h, w)`` back in the layout, with the positions of an input of that shape."""
    if layout == "bchw":
        return value
    return value.permute(0, 2, 3, 1).reshape(*shape[:-1], value.shape[1])


def codes_from_image(codes: Tensor, expected: npt.NDArray[Any]) -> Tensor:
    """Codes ``(B, T, h, w)`` with the token axis last, in the shape of the expected codes."""
    return codes.permute(0, 2, 3, 1).reshape(expected.shape)
