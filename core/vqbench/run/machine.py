"""What the parent can tell about the machine without torch: cores, GPUs, kills for want of memory."""

from __future__ import annotations

import os
import re
from pathlib import Path

__all__ = ["has_nvidia_gpu", "memory_bytes", "oom_kills", "usable_cores"]

CGROUPS = Path("/sys/fs/cgroup")


def usable_cores() -> int:
    """How many cores this process may use: its affinity, and the quota of a version 2 control group."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota, _, period = _read(CGROUPS / "cpu.max").partition(" ")
    if quota.isdecimal() and period.strip().isdecimal() and int(period):
        cores = min(cores, -(-int(quota) // int(period)))
    return max(cores, 1)


def memory_bytes() -> int:
    """The machine's memory."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def has_nvidia_gpu() -> bool:
    """Whether an NVIDIA driver shows a device that is not hidden; torch is asked later, by the workers."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    return not hidden and any(Path("/dev").glob("nvidia[0-9]*"))


def oom_kills() -> int:
    """How many processes the kernel has killed for want of memory so far, in our control group if it says so.

    Reads ``memory.events`` (cgroup version 2), ``memory.oom_control`` (version 1) or ``/proc/vmstat`` (the whole
    machine); 0 where none of them is there.
    """
    for path in (*_memory_files(_read(Path("/proc/self/cgroup"))), Path("/proc/vmstat")):
        found = re.search(r"^oom_kill (\d+)$", _read(path), re.MULTILINE)
        if found:
            return int(found[1])
    return 0


def _memory_files(memberships: str) -> list[Path]:
    files = []
    for line in memberships.splitlines():
        hierarchy, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if hierarchy == "0":
            files += [CGROUPS / group.lstrip("/") / "memory.events", CGROUPS / "memory.events"]
        elif "memory" in controllers.split(","):
            version_1 = CGROUPS / "memory"
            files += [version_1 / group.lstrip("/") / "memory.oom_control", version_1 / "memory.oom_control"]
    return files


def _read(path: Path) -> str:
    try:
        with path.open(errors="replace") as file:
            return file.read(1 << 20)
    except OSError:
        return ""
