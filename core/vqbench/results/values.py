"""The values of each test image behind a record's means: what paired comparisons need.

numpy is imported where an array is touched, so that leaderboards without such values start without it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from vqbench.errors import RecordError
from vqbench.results.store import write_atomically

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["MAX_VALUES_BYTES", "StoredValues", "read_values", "write_values"]

MAX_VALUES_BYTES = 256 << 20
ROUNDING = 1e-6
"""How far the mean of stored values may be from the recorded one, relative to their mean size: they are float32."""


def write_values(path: Path, values: Mapping[str, npt.NDArray[np.floating]]) -> None:
    """Write the values ``(images,)`` of each metric, as float32, in the order of the test images.

    Raises:
        ResultsError: the file cannot be written.
    """
    import numpy as np
    from safetensors.numpy import save

    write_atomically(path, save({name: np.ascontiguousarray(column, np.float32) for name, column in values.items()}))


def read_values(path: Path) -> dict[str, npt.NDArray[np.float32]]:
    """The values ``(images,)`` of each metric; empty where there is no file.

    Raises:
        RecordError: it is damaged, too large or holds something else.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

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
    if any(column.dtype.name != "float32" or column.ndim != 1 for column in found.values()):
        raise RecordError(f"The values {path} are damaged", expected="float32 of one axis", hint="Delete the file.")
    return found


class StoredValues:
    """The values of each image of a results folder's cells, read when they are asked for.

    Args:
        results: a results folder, of one suite or of many.
        warn: told once about each file that is damaged; such a file counts as missing.
    """

    def __init__(self, results: Path, *, warn: Callable[[str], None] = lambda message: None) -> None:
        self._results = results
        self._warn = warn
        self._paths: dict[str, Path] | None = None
        self._found: dict[tuple[str, str], npt.NDArray[np.float32] | None] = {}

    def of(self, cell_id: str, metric: str, *, mean: float | None) -> npt.NDArray[np.float32] | None:
        """A metric's values ``(images,)`` for one cell; None where there are none whose mean is ``mean``.

        That is checked because the file may belong to an older record, or to a number that is no mean over images.
        """
        if (cell_id, metric) not in self._found:
            self._found[cell_id, metric] = self._read(cell_id).get(metric)
        values = self._found[cell_id, metric]
        if values is None or mean is None or not len(values):
            return None
        import numpy as np

        distance = abs(float(values.mean(dtype=np.float64)) - mean)
        size = float(np.abs(values).mean(dtype=np.float64))
        return values if distance <= ROUNDING * size < math.inf else None

    def _read(self, cell_id: str) -> Mapping[str, npt.NDArray[np.float32]]:
        if self._paths is None:
            files = (*self._results.glob("values/*.safetensors"), *self._results.glob("*/values/*.safetensors"))
            self._paths = {path.stem: path for path in sorted(files)}
        path = self._paths.get(cell_id)
        if path is None:
            return {}
        try:
            return read_values(path)
        except RecordError as error:
            self._warn(str(error))
            del self._paths[cell_id]
            return {}
