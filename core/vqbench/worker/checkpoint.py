"""Checkpoints of train units.

::

    <unit>/step-00001000/tokenizer.safetensors    weights and buffers; the header holds the whole
    configuration <unit>/step-00001000/state.safetensors        optimiser, average and discriminator; absent
    once training is done

A step's folder appears whole or not at all, and the one before it goes only afterwards.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from torch import Tensor, device, nn

from vqbench.canonical import canonical_json
from vqbench.catalog import Catalog, CatalogOptions, resolve_parameters
from vqbench.errors import CheckpointError, ParameterError, PluginError, ResultsError
from vqbench.plan import Component, Recipe, TrainUnit
from vqbench.worker.build import build_tokenizer
from vqbench.worker.tensor_file import check_tensors, damaged, read_tensor_file, write_tensor_file

if TYPE_CHECKING:
    from vqbench.worker.tokenizer import Tokenizer

__all__ = [
    "STATE",
    "TOKENIZER",
    "Checkpoint",
    "Trained",
    "check_unit",
    "load_tokenizer",
    "load_trained",
    "load_weights",
    "newest_checkpoint",
    "read_checkpoint",
    "read_state",
    "weights",
    "write_checkpoint",
]

FORMAT = 1
MAX_IMAGE_SIZE = 8192  # that of a suite
STEP = re.compile(r"step-(\d{8,12})")
TEMPORARY = ".incomplete-"
TOKENIZER, STATE = "tokenizer.safetensors", "state.safetensors"
Count = Annotated[int, Field(ge=0)]


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What training has come to.

    Attributes:
        steps: optimiser steps done.
        seconds: wall time in the training loop, including parts before an interruption.
        losses: terms of the last step, ``total`` first; empty before the first step.
        encoder_parameters, decoder_parameters, quantizer_parameters: see
            :class:`~vqbench.worker.parameter_count.ParameterCount`.
        notes: what the dataset has to say of the training images, e.g. files that could not be read.
    """

    steps: Count
    seconds: Annotated[float, Field(ge=0)]
    losses: dict[str, float]
    encoder_parameters: Count
    decoder_parameters: Count
    quantizer_parameters: Count
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A checkpoint that was read: its folder, its unit, how far it was trained, and the tokenizer's tensors
    on the CPU.
    """

    path: Path
    unit: TrainUnit
    trained: Trained
    tensors: Mapping[str, Tensor]

    @property
    def finished(self) -> bool:
        """Whether the unit is trained to its end."""
        return bool(self.trained.steps == self.unit.recipe["steps"])


class _Header(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    format: Literal[1]
    vqbench_version: str
    unit: dict[str, Any]
    trained: Trained


def write_checkpoint(
    folder: Path,
    unit: TrainUnit,
    trained: Trained,
    tokenizer: Tokenizer,
    state: Mapping[str, Tensor] | None,
) -> None:
    """Write a unit's checkpoint atomically, then remove older ones.

    Args:
        folder: the unit's folder of checkpoints.
        unit, trained: go into the header.
        tokenizer: its weights and buffers.
        state: what training needs to go on; None for a finished unit.

    Raises:
        ResultsError: it cannot be written; older checkpoints are left as they were.
    """
    from vqbench import __version__

    header = {
        "format": FORMAT,
        "vqbench_version": __version__,
        "unit": unit.identity,
        "trained": _TRAINED.dump_python(trained),
    }
    target = folder / f"step-{trained.steps:08d}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=folder))
        try:
            write_tensor_file(temporary / TOKENIZER, weights(tokenizer), header)
            if state is not None:
                write_tensor_file(temporary / STATE, state, {"format": FORMAT, "unit": unit.id, "steps": trained.steps})
            os.chmod(temporary, 0o755)
            if target.exists():
                os.replace(target, temporary.with_name(temporary.name + "-old"))
            os.replace(temporary, target)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        _sync_folder(folder)
    except OSError as error:
        raise ResultsError(
            f"Checkpoint {target} cannot be written",
            got=error.strerror or str(error),
            hint="Make room or choose another --results DIR.",
        ) from error
    for entry in folder.iterdir():
        if entry != target and (STEP.fullmatch(entry.name) or entry.name.startswith(TEMPORARY)):
            shutil.rmtree(entry, ignore_errors=True)


def newest_checkpoint(folder: Path) -> Path | None:
    """The folder of a unit's last step, or None if there is none yet."""
    steps: list[tuple[int, Path]] = []
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        steps = [(int(m[1]), path) for path in folder.iterdir() if (m := STEP.fullmatch(path.name))]
    return max(steps)[1] if steps else None


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a step's folder, or the tokenizer's file in it.

    Raises:
        CheckpointError: damaged, or of another format.
    """
    file = path / TOKENIZER if path.is_dir() else path
    raw, tensors = read_tensor_file(file)
    if raw.get("format") != FORMAT:
        raise CheckpointError(
            f"Checkpoint {file} is of another format",
            got=str(raw.get("format"))[:40],
            expected=str(FORMAT),
            hint=f"It was written by vqbench {str(raw.get('vqbench_version'))[:40]}; use that version.",
        )
    try:
        header = _Header.model_validate_json(canonical_json(raw))
        unit = _UNIT.validate_json(canonical_json(header.unit), strict=True)
        Recipe.model_validate(unit.recipe)
    except (ValidationError, ValueError, RecursionError) as error:
        raise damaged(file, got=f"a malformed header ({_first_problem(error)})") from None
    if {**unit.identity, "protocol": None} != {**header.unit, "protocol": None}:
        raise damaged(file, got="a header with unknown entries")
    if not (1 <= unit.image_size <= MAX_IMAGE_SIZE and 1 <= unit.stride <= unit.image_size):
        raise damaged(file, got=f"image size {unit.image_size} and stride {unit.stride}")
    if header.trained.steps > unit.recipe["steps"]:
        raise damaged(file, got=f"{header.trained.steps} steps", expected=f"at most {unit.recipe['steps']}")
    return Checkpoint(path=file.parent, unit=unit, trained=header.trained, tensors=tensors)


def read_state(checkpoint: Checkpoint) -> dict[str, Tensor]:
    """What training needs to go on from an unfinished checkpoint.

    Raises:
        CheckpointError: damaged or missing.
    """
    path = checkpoint.path / STATE
    header, tensors = read_tensor_file(path)
    expected = {"format": FORMAT, "unit": checkpoint.unit.id, "steps": checkpoint.trained.steps}
    if header != expected:
        raise damaged(path, got="the state of another run or step", expected=canonical_json(expected))
    return tensors


def weights(module: nn.Module) -> dict[str, Tensor]:
    """A module's parameters and buffers by name.

    Raises:
        PluginError: it keeps state that is no tensor.
    """
    state = module.state_dict()
    for name, value in state.items():
        if not isinstance(value, Tensor):
            raise PluginError(
                f"The state {name!r} cannot be checkpointed",
                got=type(value).__name__,
                expected="a tensor, in a buffer or a parameter",
            )
    return dict(state)


def load_weights(module: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Load a module's parameters and buffers, all of them and nothing else.

    Raises:
        CheckpointError: names, shapes or dtypes differ.
    """
    check_tensors(path, tensors, weights(module))
    module.load_state_dict(dict(tensors), strict=True)


def load_trained(
    folder: Path, unit: TrainUnit, catalog: Catalog, *, device: device | str = "cpu"
) -> tuple[Tokenizer, Trained]:
    """The trained tokenizer of a unit, in evaluation mode.

    Args:
        folder: the unit's folder of checkpoints.

    Raises:
        CheckpointError: there is none that is trained to the end, it is damaged, or it belongs to another
            unit.
    """
    newest = newest_checkpoint(folder)
    if newest is None:
        raise CheckpointError(f"There is no checkpoint in {folder}", hint="Train the unit first.")
    checkpoint = read_checkpoint(newest)
    check_unit(checkpoint, unit)
    if not checkpoint.finished:
        raise CheckpointError(
            f"Checkpoint {newest} is not trained to its end",
            got=f"{checkpoint.trained.steps} steps",
            expected=unit.recipe["steps"],
            hint="Run again: training goes on from there.",
        )
    tokenizer = build_tokenizer(unit, catalog)
    load_weights(tokenizer, checkpoint.tensors, newest / TOKENIZER)
    return tokenizer.to(device).eval(), checkpoint.trained


def check_unit(checkpoint: Checkpoint, unit: TrainUnit) -> None:
    """See that a checkpoint belongs to a unit.

    Raises:
        CheckpointError: it does not.
    """
    if checkpoint.unit.id != unit.id:
        raise damaged(
            checkpoint.path,
            got=f"train unit {checkpoint.unit.id} ({checkpoint.unit.quantizer.id} × {checkpoint.unit.backbone.id})",
            expected=f"{unit.id} ({unit.quantizer.id} × {unit.backbone.id})",
        )


def load_tokenizer(
    path: str | os.PathLike[str], *, catalog: Catalog | None = None, device: device | str = "cpu"
) -> Tokenizer:
    """A trained tokenizer from its checkpoint alone, in evaluation mode.

    The components are looked up by their full ids; nothing else that the file says is imported or executed.

    Args:
        path: the checkpoint's file, its folder, or the folder of a unit's checkpoints (the newest is taken).
        catalog: where the components are looked up; by default all installed plugins.
        device: where the tokenizer goes.

    Raises:
        CheckpointError: no checkpoint there, a damaged one, or one written with another version of a
            component.
        UnknownComponentError: a component's plugin is not installed.
    """
    path = Path(path)
    if path.is_dir() and not (path / TOKENIZER).exists():
        newest = newest_checkpoint(path)
        if newest is None:
            raise CheckpointError(f"There is no checkpoint in {path}", expected=f"a folder with {TOKENIZER}")
        path = newest
    checkpoint = read_checkpoint(path)
    catalog = Catalog.load(CatalogOptions.from_environment()) if catalog is None else catalog
    unit = replace(
        checkpoint.unit,
        quantizer=_complete("quantizer", checkpoint.unit.quantizer, catalog, checkpoint.path),
        backbone=_complete("backbone", checkpoint.unit.backbone, catalog, checkpoint.path),
    )
    tokenizer = build_tokenizer(unit, catalog)
    load_weights(tokenizer, checkpoint.tensors, checkpoint.path)
    return tokenizer.to(device).eval()


def _complete(kind: str, component: Component, catalog: Catalog, path: Path) -> Component:
    """The component as a suite would have it: a stranger's file may name any, with any parameters.

    Parameters that only say where something lies are not in the file and take their defaults.
    """
    if "/" not in component.id:
        raise damaged(path, got=f"{kind} {component.id!r}", expected="a full id, plugin/name")
    entry = catalog.get(kind, component.id)
    if entry.spec.version != component.version:
        raise CheckpointError(
            f"Checkpoint {path} was trained with another version of {kind} {component.id!r}",
            got=component.version,
            expected=entry.spec.version,
            hint="Train again, or install the version of its plugin that it was trained with.",
        )
    try:
        complete = resolve_parameters(entry.spec, component.parameters)
    except ParameterError as error:
        raise damaged(path, got=f"{kind} {component.id!r}: {error}") from None
    local = tuple(parameter.name for parameter in entry.spec.parameters if parameter.local)
    whole = replace(component, parameters=complete, local=local)
    if whole.identity != component.identity:
        raise damaged(path, got=f"incomplete parameters of {kind} {component.id!r}")
    return whole


def _first_problem(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, first['loc']))[:80]}: {first['msg']}"
    return type(error).__name__


def _sync_folder(folder: Path) -> None:
    """Make a rename survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


_TRAINED = TypeAdapter(Trained)
_UNIT = TypeAdapter(TrainUnit)
