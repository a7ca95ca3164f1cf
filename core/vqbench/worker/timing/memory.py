"""The memory that a measurement takes, and how a process comes by it while it is timed."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable

import torch

from vqbench.worker.timing.machine import PROC, read

__all__ = ["MemoryMeter", "available_bytes", "keep_freed_memory"]

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Parameters of mallopt(3)."""
LARGE = 32 << 20
"""Bytes of blocks that malloc asks the system for, each anew; what its own threshold grows to."""


def keep_freed_memory() -> None:
    """Let malloc keep what this process frees, blocks of 32 MiB and more aside, as torch's allocator for GPUs does.

    By default glibc gives some of it back, depending on all that was allocated and freed before. Where the blocks of a stage are
    among that, each call has the system clear thousands of pages: a search of 3.6 ms took 7.5. Elsewhere this does nothing.
    """
    _call("mallopt", MMAP_THRESHOLD, LARGE)
    _call("mallopt", TRIM_THRESHOLD, -1)


class MemoryMeter:
    """Peak memory from its creation on: allocated on a GPU; on a CPU the whole process's, where Linux lets it be reset."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._resets = True
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        else:
            _give_back_freed_memory()
            try:
                (PROC / "self/clear_refs").write_text("5")
            except OSError:
                self._resets = False

    def peak(self) -> tuple[int | None, str | None]:
        """Bytes, or None and why."""
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device), None
        if not self._resets:
            return None, "the process's peak cannot be reset here"
        found = re.search(r"^VmHWM:\s+(\d+) kB$", read(PROC / "self/status"), re.MULTILINE)
        return (int(found[1]) << 10, None) if found else (None, "the process's peak cannot be read here")


def available_bytes() -> int | None:
    """Memory that the machine can still give; None where it does not say."""
    found = re.search(r"^MemAvailable:\s+(\d+) kB$", read(PROC / "meminfo"), re.MULTILINE)
    return int(found[1]) << 10 if found else None


def _give_back_freed_memory() -> None:
    """So that it does not count as the measurement's."""
    _call("malloc_trim", 0)


def _call(name: str, *arguments: int) -> None:
    """A function of glibc's malloc, where there is one."""
    try:
        function: Callable[..., int] = getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError, TypeError):  # another C library; Windows
        return
    function(*arguments)
