"""The values of each test image behind a record's means: what paired comparisons need. Imports numpy, so import it late."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

from vqbench.errors import RecordError
from vqbench.results.store import write_atomically

__all__ = ["MAX_VALUES_BYTES", "read_values", "write_values"]

MAX_VALUES_BYTES = 256 << 20


def write_values(path: Path, values: Mapping[str, npt.NDArray[np.floating]]) -> None:
    """Write the values ``(images,)`` of each metric, as float32, in the order of the test images.

    Raises:
        ResultsError: the file cannot be written.
    """
    write_atomically(path, save({name: np.ascontiguousarray(column, np.float32) for name, column in values.items()}))


def read_values(path: Path) -> dict[str, npt.NDArray[np.float32]]:
    """The values ``(images,)`` of each metric; empty where there is no file.

    Raises:
        RecordError: it is damaged, too large or holds something else.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_VALUES_BYTES + 1)
        if len(raw) > MAX_VALUES_BYTES:
            raise ValueError(f"more than {MAX_VALUES_BYTES >> 20} MiB")
        found: dict[str, npt.NDArray[np.float32]] = load(raw)
    except FileNotFoundError:
        return {}
    except (OSError, SafetensorError, ValueError) as error:
        raise RecordError(f"The values {path} are damaged", got=error, hint="Delete the file.") from None
    if any(column.dtype != np.float32 or column.ndim != 1 for column in found.values()):
        raise RecordError(f"The values {path} are damaged", expected="float32 of one axis", hint="Delete the file.")
    return found
