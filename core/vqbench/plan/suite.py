"""The suite file: a matrix in TOML, validated with messages that name file, key, got and expected."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from vqbench.errors import SuiteError
from vqbench.plan.overrides import apply_overrides
from vqbench.plan.recipe import Recipe
from vqbench.plan.timing import Timing
from vqbench.toml_files import explain_mistake, read_toml

__all__ = [
    "BackboneEntry",
    "DatasetEntry",
    "Evaluation",
    "Exclusion",
    "QuantizerEntry",
    "Suite",
    "load_suite",
]

MAX_BASES = 8
BASE_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}\.toml")
NAME = r"^[a-z0-9][a-z0-9._-]{0,63}$"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Entry(_Strict):
    """A component to cross with the others."""

    name: str = Field(max_length=200, description="short name or plugin/name")
    label: str | None = Field(None, min_length=1, max_length=60, description="what leaderboards call it")
    preset: str | None = None
    params: dict[str, Any] = Field(default_factory=dict)


class QuantizerEntry(Entry):
    """A quantizer; ``recipe`` overrides single values of the suite's recipe for it."""

    recipe: dict[str, Any] = Field(default_factory=dict)


class BackboneEntry(Entry):
    """A backbone; ``recipe`` overrides single values of the suite's recipe for it."""

    recipe: dict[str, Any] = Field(default_factory=dict)


class DatasetEntry(Entry):
    """A dataset at an image size in pixels."""

    image_size: int = Field(ge=1, le=8192)


class Evaluation(_Strict):
    """What is measured on the test images, and in which batches."""

    metrics: list[str] = Field(default_factory=lambda: ["psnr", "ssim", "l1"], max_length=100)
    batch_size: int = Field(32, ge=1, le=65_536)


class Exclusion(_Strict):
    """Combinations that shall not run; globs on labels."""

    quantizer: str = "*"
    backbone: str = "*"
    dataset: str = "*"
    reason: str = Field(min_length=1)


def _as_list(value: object) -> object:
    return [value] if isinstance(value, dict) else value


class Suite(_Strict):
    """A matrix: quantizers × backbones × datasets × seeds under one recipe and one evaluation.

    Attributes:
        stride: pixels per position of the finest level, a power of two.
        equal_bits: ``true`` if all cells must have equal bits per image, or how many bits they must have.
    """

    schema_version: Literal[1] = Field(alias="schema")
    name: str = Field(pattern=NAME)
    summary: str = Field("", max_length=500)
    stride: int = Field(8, ge=1, le=1024)
    seeds: list[Annotated[int, Field(ge=0, lt=1 << 32)]] = Field([0], min_length=1, max_length=1000)
    equal_bits: bool | Annotated[int, Field(ge=1)] = False
    data: Annotated[list[DatasetEntry], BeforeValidator(_as_list)] = Field(min_length=1, max_length=100)
    quantizers: list[QuantizerEntry] = Field(min_length=1, max_length=10_000)
    backbones: list[BackboneEntry] = Field(min_length=1, max_length=1000)
    recipe: Recipe = Field(default_factory=Recipe)
    evaluation: Evaluation = Field(default_factory=Evaluation)
    timing: Timing = Field(default_factory=Timing)
    exclude: list[Exclusion] = Field(default_factory=list, max_length=1000)


def load_suite(path: Path, overrides: Iterable[str] = ()) -> Suite:
    """Read and validate a suite file.

    A file with ``base = "other.toml"`` is that suite, which lies beside it, with the top-level keys that it has itself replaced.

    Args:
        path: the TOML file, at most 1 MiB.
        overrides: ``key.path=value`` texts, applied before validation.

    Raises:
        SuiteError: the file is missing, too large, not TOML, or not a suite.
        UsageError: an override is malformed.
    """
    document = _with_base(path, read_toml(path, "Suite file", SuiteError))
    return parse_suite(apply_overrides(document, overrides), source=str(path))


def _with_base(path: Path, document: dict[str, Any]) -> dict[str, Any]:
    """The document on top of the suite it names as its base, if it names one."""
    for _ in range(MAX_BASES):
        if "base" not in document:
            return document
        base = document.pop("base")
        if not (isinstance(base, str) and BASE_NAME.fullmatch(base)):
            raise SuiteError(
                f"{path}: wrong value of 'base'",
                got=repr(base)[:200],
                expected="the name of a suite file in the same folder",
            )
        if "name" not in document:
            raise SuiteError(f"{path}: key 'name' is missing", hint="A suite with a base needs a name of its own.")
        document = read_toml(path.parent / base, "Suite file", SuiteError) | document
    raise SuiteError(f"{path}: too many bases", expected=f"at most {MAX_BASES}, not in a circle")


def parse_suite(document: Mapping[str, Any], *, source: str) -> Suite:
    """Validate a suite that was read from ``source``.

    Raises:
        SuiteError: names the source, the first wrong key, what was got and what was expected.
    """
    try:
        return Suite.model_validate(document)
    except ValidationError as error:
        raise _explain(error, source) from None


def explain_recipe(error: ValidationError, source: str, where: str) -> SuiteError:
    """A recipe's validation error as one message; ``where`` is the key that held the override."""
    return _explain(error, source, Recipe, prefix=where)


def _explain(error: ValidationError, source: str, model: type[BaseModel] = Suite, *, prefix: str = "") -> SuiteError:
    return explain_mistake(error, source, model, SuiteError, whole="the suite", see="docs/suites.md", prefix=prefix)
