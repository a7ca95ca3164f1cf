"""Features of originals, kept from one evaluation to the next."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from vqbench.canonical import content_id
from vqbench.errors import CheckpointError
from vqbench.worker.tensor_file import read_tensor_file, write_tensor_file

__all__ = ["DAMAGED", "FeatureCache"]

DAMAGED = "the cached features were damaged and have been computed again"
MAX_HEADER_BYTES = 1 << 16


class FeatureCache:
    """One file of features ``(N, D)``, named after what they are features of; deleting it costs computing them again.

    Args:
        folder: where it lies; need not exist, nor be writable.
        content: all that the features depend on: JSON values by name.
    """

    def __init__(self, folder: Path, content: Mapping[str, str]) -> None:
        self.path = folder / f"{content_id(dict(content), length=32)}.safetensors"
        self._content = dict(content)

    def read(self, shape: tuple[int, int]) -> Tensor | None:
        """The features, float32 of that shape; None where there are none.

        Raises:
            CheckpointError: the file is damaged or holds something else.
        """
        try:
            size = self.path.stat().st_size
        except OSError:
            return None
        if size > 4 * shape[0] * shape[1] + MAX_HEADER_BYTES:
            raise CheckpointError(f"{self.path} is too large", got=f"{size} bytes")
        content, tensors = read_tensor_file(self.path)
        features = tensors.get("features")
        if content != self._content or features is None or features.shape != shape or features.dtype != torch.float32:
            raise CheckpointError(f"{self.path} holds something else")
        return features

    def write(self, features: Tensor) -> None:
        """Keep features; where the disk is full or the folder cannot be written they are not kept, and nothing else happens."""
        name = None
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.")
            os.close(handle)
            write_tensor_file(Path(name), {"features": features}, self._content)
            os.chmod(name, 0o644)
            os.replace(name, self.path)
        except OSError:
            if name:
                with contextlib.suppress(OSError):
                    os.unlink(name)
