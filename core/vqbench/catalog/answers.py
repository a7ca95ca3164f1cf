"""What the functions of a descriptor answer: asked with care, and checked."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from itertools import islice
from pathlib import Path
from typing import Any, cast

from vqbench.assets import Asset
from vqbench.catalog.contract import TARGET, is_int
from vqbench.catalog.guard import kept_alive, patience, printing_to_stderr, stopped_after
from vqbench.catalog.naming import Entry
from vqbench.catalog.targets import load_target
from vqbench.errors import PluginError
from vqbench.plugin_code import calling
from vqbench.specs import BackboneSpec, DatasetSpec, LevelPlan, LevelShape, Parameters, QuantizerSpec, TrainsAs

__all__ = ["assets_of", "check_levels", "fetch_dataset", "levels_of", "revision_of", "training_of"]

MAX_LEVELS = 64
MAX_SLOTS = 4096
MAX_CODEBOOK = 2**62


def levels_of(entry: Entry, parameters: Parameters) -> tuple[LevelPlan, ...]:
    """The levels of a quantizer with these (complete) parameters, coarse to fine.

    Raises:
        ParameterError: the parameters do not go together.
        PluginError: the descriptor's ``levels`` failed, took too long, or returned something else than levels.
    """
    spec = cast(QuantizerSpec, entry.spec)
    with _asking(entry, "levels"):
        returned = spec.levels(deepcopy(parameters))
        levels = tuple(islice(returned, MAX_LEVELS + 1)) if _is_series(returned) else None
    if levels is None or not all(isinstance(level, LevelPlan) for level in levels):
        raise _wrong(entry, "levels", returned if levels is None else levels, "a list of LevelPlan")
    if not 0 < len(levels) <= MAX_LEVELS:
        raise PluginError(f"{entry.owner} has no levels, or too many", expected=f"1 to {MAX_LEVELS}")
    for index, level in enumerate(levels):
        _check_level(f"{entry.owner}: level {index}", level)
    return levels


def training_of(entry: Entry, parameters: Parameters) -> TrainsAs | None:
    """What is trained in a quantizer's place; None for itself.

    Raises:
        ParameterError: the parameters do not go together.
        PluginError: the descriptor's ``trains_as`` failed, took too long, or returned something else.
    """
    spec = cast(QuantizerSpec, entry.spec)
    if spec.trains_as is None:
        return None
    with _asking(entry, "trains_as"):
        other = spec.trains_as(deepcopy(parameters))
    if other is None:
        return None
    if not (isinstance(other, TrainsAs) and isinstance(other.quantizer, str) and isinstance(other.parameters, Mapping)):
        raise _wrong(entry, "trains_as", other, "TrainsAs with a full id and parameters, or None")
    return other


def check_levels(entry: Entry, parameters: Parameters, image_size: int, levels: Sequence[LevelShape]) -> None:
    """Have a backbone check what it is to be built with.

    Raises:
        ParameterError: it cannot be built.
        PluginError: the descriptor's ``check`` failed or took too long.
    """
    spec = cast(BackboneSpec, entry.spec)
    if spec.check is not None:
        with _asking(entry, "check"):
            spec.check(deepcopy(parameters), image_size, tuple(levels))


def revision_of(entry: Entry, parameters: Parameters) -> str:
    """What identifies a dataset's content. It may look at all of the data, so it has no time limit.

    Raises:
        UnavailableError: the data is not here.
        PluginError: the descriptor's ``revision`` failed or returned something else than a text.
    """
    spec = cast(DatasetSpec, entry.spec)
    with _asking(entry, "revision", limited=False):
        revision = spec.revision(deepcopy(parameters))
    if not isinstance(revision, str) or not revision:
        raise _wrong(entry, "revision", revision, "a text that is not empty")
    return revision


def assets_of(entry: Entry, parameters: Parameters) -> tuple[Asset, ...]:
    """What is fetched for a dataset.

    Raises:
        PluginError: the descriptor's ``assets`` cannot be imported, failed, took too long, or returned something else.
    """
    spec = cast(DatasetSpec, entry.spec)
    if spec.assets is None:
        return ()
    function = cast(Callable[[Parameters], Any], load_target(spec.assets))
    with _asking(entry, "assets"):
        returned = function(deepcopy(parameters))
        assets = tuple(returned) if _is_series(returned) else None
    if assets is None or not all(isinstance(asset, Asset) for asset in assets):
        raise _wrong(entry, "assets", returned if assets is None else assets, "a list of vqbench.assets.Asset")
    return assets


def fetch_dataset(entry: Entry, parameters: Parameters, report: Callable[[str], None]) -> Path:
    """Have a dataset get what no hash is known of; the folder where it is. It takes as long as it takes.

    Raises:
        UnavailableError: it cannot be had.
        PluginError: the descriptor's ``fetch`` cannot be imported, failed, or returned something else than a path.
    """
    function = cast(Callable[..., Any], load_target(cast(str, cast(DatasetSpec, entry.spec).fetch)))
    with _asking(entry, "fetch", limited=False):
        folder = function(deepcopy(parameters), report)
    if not isinstance(folder, Path):
        raise _wrong(entry, "fetch", folder, "a pathlib.Path")
    return folder


@contextlib.contextmanager
def _asking(entry: Entry, function: str, *, limited: bool = True) -> Iterator[None]:
    seconds = patience() if limited else None
    with printing_to_stderr(), calling(entry.owner, function), kept_alive(), stopped_after(seconds):
        yield


def _check_level(where: str, level: LevelPlan) -> None:
    for field in ("relative_stride", "latent_channels", "code_channels"):
        value = getattr(level, field)
        if not is_int(value) or value < 1:
            raise PluginError(f"{where}: {field} is malformed", got=repr(value), expected="an integer of at least 1")
    sizes = level.codebook_sizes
    if not isinstance(sizes, tuple) or not all(is_int(size) and 1 <= size <= MAX_CODEBOOK for size in sizes):
        raise PluginError(
            f"{where}: codebook_sizes is malformed",
            got=repr(sizes)[:200],
            expected="a tuple of integers from 1 to 2^62, empty for a continuous latent",
        )
    if len(sizes) > MAX_SLOTS:
        raise PluginError(f"{where} has too many slots", got=len(sizes), expected=f"at most {MAX_SLOTS}")
    if not isinstance(level.arguments, Mapping) or not all(isinstance(name, str) for name in level.arguments):
        raise PluginError(f"{where}: arguments is malformed", got=repr(level.arguments)[:200], expected="a mapping")
    if level.target is not None and not (isinstance(level.target, str) and TARGET.fullmatch(level.target)):
        raise PluginError(
            f"{where}: target is malformed", got=repr(level.target)[:200], expected="package.module:Class"
        )


def _is_series(value: object) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping)


def _wrong(entry: Entry, function: str, value: object, expected: str) -> PluginError:
    got = type(value).__name__
    if isinstance(value, tuple):
        got = "a list that holds " + ", ".join(sorted({type(element).__name__ for element in value}))
    return PluginError(f"{entry.owner}: {function} returned something else", got=got, expected=expected)
