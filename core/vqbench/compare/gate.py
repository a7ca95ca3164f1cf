"""The gate: from when on a difference counts, which numbers must be there, and which do not matter."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vqbench.compare.entry import Entry
from vqbench.errors import GateError
from vqbench.results import MetricRecord
from vqbench.results.speeds import SPEED_FACTOR, without_setting
from vqbench.significance import LEVEL
from vqbench.toml_files import explain_mistake, read_toml

__all__ = ["Gate", "Limits", "Rule", "is_speed", "load_gate"]

DECIBELS = 0.02
QUALITY_FACTOR = 1.002
USAGE_FACTOR = 1.01
T = TypeVar("T")
Glob = Annotated[str, Field(min_length=1, max_length=500)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Rule(_Strict):
    """What holds for the numbers that all of its globs match.

    ``metric`` is matched with a number's name, and of a speed with a setting in its name also with what stands before it.
    ``quantizer``, ``backbone`` and ``dataset`` are matched with labels, names and ids of cells, ``benchmark`` with names of
    imported benchmarks. A key that is absent leaves the matter to later rules, and at last to the defaults.

    Attributes:
        tolerance: how large a difference may be, in the metric's unit.
        factor: how large the ratio of the larger to the smaller number may be. A difference counts that is beyond both.
        level: at most how often any test of the report may call equals different.
        better: the direction, for numbers that have none or to turn it round.
        ignore: leave the number out.
        required: true: NEW must have the number, and comparable; false: it may be missing or not comparable.
        reason: for readers of the file.
    """

    metric: Glob = "*"
    suite: Glob | None = None
    quantizer: Glob | None = None
    backbone: Glob | None = None
    dataset: Glob | None = None
    benchmark: Glob | None = None
    tolerance: float | None = Field(None, ge=0)
    factor: float | None = Field(None, ge=1)
    level: float | None = Field(None, gt=0, lt=1)
    better: Literal["higher", "lower"] | None = None
    ignore: bool | None = None
    required: bool | None = None
    reason: str = Field("", max_length=500)

    def matches(self, entry: Entry, metric: str | None) -> bool:
        """Whether it is about a metric of an entry, or (None) about the entry as a whole."""
        names = () if metric is None else (metric, without_setting(metric))
        if self.metric != "*" and not any(fnmatchcase(name, self.metric) for name in names):
            return False
        globs = {
            "quantizer": self.quantizer,
            "backbone": self.backbone,
            "dataset": self.dataset,
            "benchmark": self.benchmark,
        }
        if self.suite is not None and not fnmatchcase(entry.suite, self.suite):
            return False
        return all(
            glob is None or any(fnmatchcase(name, glob) for name in entry.called.get(key, ()))
            for key, glob in globs.items()
        )


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a gate says about one number; see :class:`Rule`."""

    tolerance: float
    factor: float
    level: float
    better: Literal["higher", "lower"] | None
    ignore: bool
    required: bool | None

    def exceeded(self, base: float, new: float) -> bool:
        """Whether two numbers differ by more than it lets pass."""
        return abs(new - base) > self.tolerance and _ratio(base, new) > self.factor

    def worst(self, base: float) -> float | None:
        """How bad a number may be that replaces a positive one; None where it has no direction."""
        if self.better is None:
            return None
        if self.better == "higher":
            return min(base / self.factor, base - self.tolerance)
        return max(base * self.factor, base + self.tolerance)


class Gate(_Strict):
    """Rules in order: for each key, the first rule that matches and has it decides."""

    schema_version: Literal[1] = Field(alias="schema")
    rules: list[Rule] = Field(default_factory=list, max_length=1000)

    def matching(self, entry: Entry, metric: str | None) -> list[int]:
        """The indices of the rules about a number."""
        return [index for index, rule in enumerate(self.rules) if rule.matches(entry, metric)]

    def limits(self, matching: list[int], number: MetricRecord | None) -> Limits:
        """What those rules say about a number, and the defaults where they say nothing.

        Defaults: ``level`` 0.05; ``tolerance`` 0.02 for decibels; ``factor`` 1.1 for speeds (throughput with a direction),
        1.01 for usage, 1.002 for all else. A rule with ``tolerance`` or ``factor`` replaces both.
        """
        rules = [self.rules[index] for index in matching]
        sized = next((rule for rule in rules if rule.tolerance is not None or rule.factor is not None), None)
        tolerance, factor = (sized.tolerance, sized.factor) if sized else _default_size(number)
        return Limits(
            tolerance=tolerance or 0.0,
            factor=factor or 1.0,
            level=_first([rule.level for rule in rules], LEVEL),
            better=_first([rule.better for rule in rules], number.better if number else None),
            ignore=_first([rule.ignore for rule in rules], False),
            required=_first([rule.required for rule in rules], None),
        )

    def demanded(self, entry: Entry) -> set[str]:
        """The metrics, named without a glob, that rules require of an entry; of a benchmark only those that are about such."""
        names = {
            rule.metric
            for rule in self.rules
            if rule.required and not set("*?[") & set(rule.metric) and (entry.kind == "cell" or rule.benchmark)
        }
        limits = {name: self.limits(self.matching(entry, name), None) for name in names}
        return {name for name, limit in limits.items() if limit.required and not limit.ignore}


def is_speed(number: MetricRecord) -> bool:
    """Whether a number is of the machine as much as of the method."""
    return number.board == "throughput" and number.better is not None


def _default_size(number: MetricRecord | None) -> tuple[float | None, float | None]:
    if number is None:
        return None, None
    if is_speed(number):
        return None, SPEED_FACTOR
    if number.board == "usage":
        return None, USAGE_FACTOR
    return (DECIBELS, None) if number.unit.strip().lower() == "db" else (None, QUALITY_FACTOR)


def _first(values: list[T | None], default: T) -> T:
    return next((value for value in values if value is not None), default)


def _ratio(a: float, b: float) -> float:
    """Of the larger to the smaller by size; infinite where there is none."""
    small, large = sorted((abs(a), abs(b)))
    return large / small if a * b > 0 and small else float("inf")


def load_gate(path: Path) -> Gate:
    """Read and validate a gate file (TOML, at most 1 MiB).

    Raises:
        GateError: it is missing, too large, not TOML, or not a gate; the message names the key, what was got and expected.
    """
    return parse_gate(read_toml(path, "Gate file", GateError), source=str(path))


def parse_gate(document: dict[str, Any], *, source: str) -> Gate:
    """Validate a gate that was read from ``source``.

    Raises:
        GateError: names the source, the first wrong key, what was got and what was expected.
    """
    try:
        return Gate.model_validate(document)
    except ValidationError as error:
        raise explain_mistake(error, source, Gate, GateError, whole="the gate", see="docs/cli.md") from None
