"""The threads that torch computes with: how many, and a search's rows shared out among them."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

__all__ = ["share_out", "torch_threads"]

SLICES = 8
"""Per thread, for whoever is free: another process may hold up some threads."""

_Callback = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """A block in which torch computes with so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def share_out(work: Callable[[slice], None], count: int, *, part: int) -> None:
    """Call ``work`` on slices that make up ``range(count)``, on as many threads as torch may use.

    The threads are those of torch's own OpenMP: between two of torch's operations they spin for milliseconds, and any
    others would have to share the processors with them. Where they cannot be had, Python's do it.

    Args:
        work: compiled code that does not hold Python's lock.
        count: number of items.
        part: items of which a slice has a multiple, but for the last one.

    Raises:
        Exception: the first one that ``work`` raised.
    """
    threads = min(torch.get_num_threads(), -(-count // part))
    if threads < 2:
        return work(slice(0, count))
    size = max(count // (SLICES * threads) // part, 1) * part
    slices = iter([slice(start, min(start + size, count)) for start in range(0, count, size)])
    errors: list[BaseException] = []

    def drain(_: object) -> None:
        try:
            for here in slices:
                work(here)
        except BaseException as error:
            errors.append(error)

    if _parallel is not None:
        _parallel(_Callback(drain), None, torch.get_num_threads(), 0)
    else:
        others = [threading.Thread(target=drain, args=(None,)) for _ in range(threads - 1)]
        for other in others:
            other.start()
        drain(None)
        for other in others:
            other.join()
    if errors:
        raise errors[0]
    return None


def _find_parallel() -> Callable[[object, None, int, int], None] | None:
    """OpenMP's call that runs a function once on each thread of a team; torch has loaded it for all to see."""
    if not torch.backends.openmp.is_available():  # type: ignore[no-untyped-call]
        return None
    try:
        function = ctypes.CDLL(None).GOMP_parallel
    except (AttributeError, OSError, TypeError):  # an OpenMP without GNU's names; Windows has no such library
        return None
    function.argtypes, function.restype = (_Callback, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint), None
    return function


_parallel = _find_parallel()
