"""How much memory a call takes beside what it was given and what it returns."""

from __future__ import annotations

import ctypes
import re
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

__all__ = ["confine_to", "extra_bytes", "free_bytes", "result_bytes"]

RESERVE = 1 << 30  # left to the rest of the machine


def free_bytes(device: torch.device) -> int | None:
    """Memory that may be taken without harm to the machine; None where that is not known."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    found = re.search(r"MemAvailable:\s+(\d+) kB", _read("/proc/meminfo"))
    return max(int(found[1]) * 1024 - RESERVE, 0) if found else None


def confine_to(extra: int) -> None:
    """Let allocations fail that would take this process more than so many bytes beyond what it has now."""
    found = re.search(r"VmSize:\s+(\d+) kB", _read("/proc/self/status"))
    if found:
        _, most = resource.getrlimit(resource.RLIMIT_AS)
        limit = int(found[1]) * 1024 + extra
        resource.setrlimit(resource.RLIMIT_AS, (limit if most < 0 else min(limit, most), most))


def extra_bytes(call: Callable[[], Any], device: torch.device) -> tuple[Any, int | None]:
    """The result of a call, and the peak of memory during it less that before it and less the result's own.

    On a GPU torch's allocations are counted. On a CPU it is resident memory, which Linux alone tells; elsewhere None.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        result = call()
        torch.cuda.synchronize(device)
        return result, max(torch.cuda.max_memory_allocated(device) - before - result_bytes(result), 0)
    if not sys.platform.startswith("linux"):
        return call(), None
    ctypes.CDLL(None).malloc_trim(0)  # or what earlier calls gave back would be taken again unseen
    try:
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts again at what is resident now
    except OSError:
        return call(), None
    before = _resident("VmHWM")
    result = call()
    return result, max(_resident("VmHWM") - before - result_bytes(result), 0)


def result_bytes(result: Any) -> int:
    """Bytes of the tensors and arrays of a tuple, those that share memory once."""
    sizes = {}
    for part in result if isinstance(result, tuple) else (result,):
        if isinstance(part, torch.Tensor):
            storage = part.untyped_storage()
            sizes[storage.data_ptr()] = storage.nbytes()
        elif hasattr(part, "nbytes"):
            sizes[id(part)] = int(part.nbytes)
    return sum(sizes.values())


def _resident(what: str) -> int:
    found = re.search(rf"{what}:\s+(\d+) kB", _read("/proc/self/status"))
    assert found is not None
    return int(found[1]) * 1024


def _read(path: str) -> str:
    return Path(path).read_text() if Path(path).exists() else ""
