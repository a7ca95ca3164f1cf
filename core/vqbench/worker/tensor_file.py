"""Safetensors files with a JSON header and a checksum. Nothing in them is ever executed or unpickled."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, uint8

from vqbench.canonical import canonical_json
from vqbench.errors import CheckpointError

__all__ = ["MAX_HEADER_BYTES", "check_tensors", "damaged", "read_tensor_file", "write_tensor_file"]

MAX_HEADER_BYTES = 16 << 20
"""A header of some 100 000 tensors; safetensors itself would take 100 MB."""


def write_tensor_file(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """Write tensors, from any device, with a header of JSON values; on the disk when this returns.

    Raises:
        OSError: it cannot be written.
    """
    # cloned: safetensors refuses tensors that share memory, as tied weights do
    on_cpu = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    try:
        save_file(on_cpu, path, {"vqbench": canonical_json(header), "sha256": _digest(on_cpu)})
    except SafetensorError as error:  # how it reports a full disk
        raise OSError(str(error)) from error
    with path.open("rb") as file:
        os.fsync(file.fileno())


def read_tensor_file(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The header and the tensors, on the CPU.

    Raises:
        CheckpointError: unreadable, truncated, damaged, or not written by :func:`write_tensor_file`.
    """
    try:
        _check_header_size(path)
        with safe_open(path, framework="pt", device="cpu") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no mapping)
    except OSError as error:
        raise CheckpointError(f"Checkpoint {path} cannot be read", got=error.strerror or str(error)) from None
    except (SafetensorError, RuntimeError, ValueError) as error:
        raise damaged(path, got=str(error), expected="a safetensors file") from None
    if "vqbench" not in metadata or "sha256" not in metadata:
        raise damaged(path, got="no vqbench header", expected="a file that vqbench wrote")
    if _digest(tensors) != metadata["sha256"]:
        raise damaged(path, got="another checksum", expected=f"SHA-256 {metadata['sha256'][:64]}")
    try:
        header = json.loads(metadata["vqbench"])
    except (ValueError, RecursionError) as error:
        raise damaged(path, got=f"a header that is not JSON ({error})") from None
    if not isinstance(header, dict):
        raise damaged(path, got="a header that is no object")
    return header, tensors


def check_tensors(path: Path, tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """See that tensors have the names, shapes and dtypes of the expected ones.

    Raises:
        CheckpointError: they have not.
    """
    missing, extra = sorted(expected.keys() - tensors.keys()), sorted(tensors.keys() - expected.keys())
    if missing or extra:
        raise damaged(
            path,
            got=f"{len(missing)} missing and {len(extra)} unknown tensors"
            f" ({', '.join([*missing, *extra][:4])}{' …' if len(missing) + len(extra) > 4 else ''})",
        )
    for name, tensor in expected.items():
        found = tensors[name]
        if found.shape != tensor.shape or found.dtype != tensor.dtype:
            raise damaged(
                path,
                got=f"{name} {found.dtype} {tuple(found.shape)}",
                expected=f"{tensor.dtype} {tuple(tensor.shape)}",
            )


def damaged(path: Path, *, got: str | None = None, expected: str | None = None) -> CheckpointError:
    """The error for a file that is not the checkpoint it should be."""
    return CheckpointError(
        f"Checkpoint {path} is damaged or belongs to something else",
        got=got,
        expected=expected,
        hint="Delete it to train again, or run with --force.",
    )


def _check_header_size(path: Path) -> None:
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        size = os.fstat(file.fileno()).st_size
    if length > min(MAX_HEADER_BYTES, size - 8):
        raise ValueError(f"a header of {length} bytes in a file of {size}")


def _digest(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name}\x1f{tensor.dtype}\x1f{tuple(tensor.shape)}\x1f".encode())
        digest.update(tensor.reshape(-1).view(uint8).numpy().data)
    return digest.hexdigest()
