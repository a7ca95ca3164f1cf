"""State dicts on disk: read without running what a pickle says, recognised by their tensors."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from vqbench.errors import DataError

__all__ = ["load_state", "save_state", "tensor_digest", "tensor_digest_of"]


def load_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a ``.pth`` file by name, on the CPU; nothing but tensors is unpickled.

    Raises:
        DataError: it holds something else, or is damaged.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever torch makes of a damaged file
        reason = str(error).partition("\n")[0]
        raise DataError(f"{path} cannot be read as weights", got=reason, hint="Fetch it again.") from error
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise DataError(f"{path} is no state dict of tensors", hint="Fetch it again.")
    return dict(state)


def tensor_digest(state: Mapping[str, Tensor]) -> str:
    """sha256 over the tensors in order of their names: for each a line of name, numpy dtype and shape, then its values."""
    digest = hashlib.sha256()
    for name in sorted(state):
        values = state[name].numpy()
        digest.update(f"{name} {values.dtype.str} {values.shape}\n".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()


def tensor_digest_of(path: Path) -> str | None:
    """The digest of a file's tensors; None where it has none."""
    try:
        return tensor_digest(load_state(path))
    except DataError:
        return None


def save_state(state: Mapping[str, Tensor], path: Path) -> None:
    """Write a state dict as ``torch.save`` does, under a name that does not depend on the path's."""
    buffer = io.BytesIO()  # a full disk is then an OSError
    torch.save(dict(state), buffer)
    path.write_bytes(buffer.getbuffer())
