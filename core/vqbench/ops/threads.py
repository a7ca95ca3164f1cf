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


def share_out(work: Callable[[int, int], None], count: int, *, part: int) -> None:
    """Call ``work(start, stop)`` on slices that make up ``range(count)``, on as many threads as torch may use.

    Each thread runs torch's own operations alone, so nothing waits for the slowest after every one of them.

    Args:
        work: releases Python's lock for most of its time.
        count: number of items.
        part: items of which a slice has a multiple, but for the last one.
    """
    threads = min(torch.get_num_threads(), -(-count // part))
    if threads < 2:
        return work(0, count)
    # several slices a thread: one that another process holds up does not hold up all
    size = max(count // (4 * threads) // part, 1) * part
    slices = [(start, min(start + size, count)) for start in range(0, count, size)]
    for done in [_threads(torch.get_num_threads()).submit(work, *one) for one in slices]:
        done.result()
    return None


def _threads(number: int) -> ThreadPoolExecutor:
    global _pool, _workers
    with _lock:
        if _pool is None or _workers != number:
            if _pool is not None:
                _pool.shutdown(wait=False)
            ready = threading.Barrier(number + 1)

            def alone() -> None:
                torch.set_num_threads(1)  # of this thread, but also the number that threads to come start with
                ready.wait()

            _pool, _workers = ThreadPoolExecutor(number, "vqbench-search", initializer=alone), number
            for _ in range(number):
                _pool.submit(int)
            ready.wait()
            torch.set_num_threads(number)
        return _pool


def _forget() -> None:
    """A forked process has none of its parent's threads."""
    global _pool, _lock
    _pool, _lock = None, threading.Lock()


os.register_at_fork(after_in_child=_forget)
