"""Reads arrays out of pickles that others made: only the names that arrays need are known, and no code can come out."""

from __future__ import annotations

import io
import math
import pickle
import zipfile
from collections.abc import Iterator, Mapping
from typing import IO, Any

import numpy as np
import numpy.typing as npt

__all__ = ["read_arrays", "read_torchscript"]

Array = npt.NDArray[Any]


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: IO[bytes], known: Mapping[str, Any]) -> None:
        super().__init__(file)
        self._known = known

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self._known[f"{module}.{name}"]
        except KeyError:
            raise pickle.UnpicklingError(f"the pickle asks for {module}.{name}") from None


def read_arrays(file: IO[bytes]) -> Any:
    """Nested dicts and lists of numpy arrays.

    Raises:
        pickle.UnpicklingError: the pickle asks for anything else.
    """
    reconstruct = np.zeros(0).__reduce__()[0]  # numpy moves it between versions
    known: dict[str, Any] = {"numpy.ndarray": np.ndarray, "numpy.dtype": np.dtype}
    known |= {f"numpy.{core}.multiarray._reconstruct": reconstruct for core in ("core", "_core")}
    return _Unpickler(file, known).load()


class _Module:
    """Takes the place of every class of a TorchScript module; it only gets attributes."""


class _TorchScriptUnpickler(_Unpickler):
    def __init__(self, file: IO[bytes], archive: zipfile.ZipFile, folder: str) -> None:
        known = {
            "collections.OrderedDict": dict,
            "torch.jit._pickle.build_intlist": list,
            "torch.FloatStorage": np.dtype("<f4"),
            "torch._utils._rebuild_tensor_v2": _rebuild,
        }
        super().__init__(file, known)
        self._archive, self._folder = archive, folder

    def find_class(self, module: str, name: str) -> Any:
        return _Module if module.split(".")[0] == "__torch__" else super().find_class(module, name)

    def persistent_load(self, pid: Any) -> Array:
        tag, dtype, key, _, count = pid
        if tag != "storage" or not isinstance(dtype, np.dtype):
            raise pickle.UnpicklingError(f"the pickle asks for {pid!r}")
        return np.frombuffer(self._archive.read(f"{self._folder}/data/{key}"), dtype, count)


def _rebuild(storage: Array, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any) -> Array:
    array = storage[offset : offset + math.prod(shape)].reshape(shape)
    if tuple(step // array.itemsize for step in array.strides) != tuple(strides):
        raise pickle.UnpicklingError("a tensor is not contiguous")
    return array


def read_torchscript(data: bytes) -> dict[str, Array]:
    """The float32 tensors of a TorchScript archive by their dotted names; its code is not read.

    Raises:
        pickle.UnpicklingError: the archive is of another kind.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        roots = [name.split("/")[0] for name in archive.namelist() if name.split("/")[1:] == ["data.pkl"]]
        if len(roots) != 1:
            raise pickle.UnpicklingError("this is no TorchScript archive")
        with archive.open(f"{roots[0]}/data.pkl") as file:
            return dict(_tensors(_TorchScriptUnpickler(file, archive, roots[0]).load(), ()))


def _tensors(module: _Module, path: tuple[str, ...]) -> Iterator[tuple[str, Array]]:
    for name, value in vars(module).items():
        if isinstance(value, _Module):
            yield from _tensors(value, (*path, name))
        elif isinstance(value, np.ndarray):
            yield ".".join((*path, name)), value
