"""A few threads that share out the rows of a search."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch

__all__ = ["share_out"]

_pool: ThreadPoolExecutor | None = None
_workers = 0
_lock = threading.Lock()


def share_out(work: Callable[[slice], None], count: int, *, part: int) -> None:
    """Call ``work`` on slices that make up ``range(count)``, on as many threads as torch may use.

    Args:
        work: compiled code, which does not hold Python's lock. It must not use torch: its OpenMP would start threads for
            each of these, find more threads than processors, and from then on put all of them to sleep between
            operations, those of the training too.
        count: number of items.
        part: items of which a slice has a multiple, but for the last one.
    """
    threads = min(torch.get_num_threads(), -(-count // part))
    if threads < 2:
        return work(slice(0, count))
    # two slices a thread: one that another process holds up does not hold up all
    size = max(count // (2 * threads) // part, 1) * part
    pool = _threads(torch.get_num_threads())
    for done in [pool.submit(work, slice(start, min(start + size, count))) for start in range(0, count, size)]:
        done.result()
    return None


def _threads(number: int) -> ThreadPoolExecutor:
    global _pool, _workers
    with _lock:
        if _pool is None or _workers != number:
            if _pool is not None:
                _pool.shutdown(wait=False)
            _pool, _workers = ThreadPoolExecutor(number, "vqbench-search"), number
        return _pool


def _forget() -> None:
    """A forked process has none of its parent's threads."""
    global _pool, _lock
    _pool, _lock = None, threading.Lock()


os.register_at_fork(after_in_child=_forget)
