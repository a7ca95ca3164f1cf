"""What the machine does beside the measurement, how much energy the measurement takes, and whether to trust it."""

from __future__ import annotations

import os
import re
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from vqbench.intervals import median_interval
from vqbench.results import MachineRecord
from vqbench.worker.timing.nvml import NvmlGpu, open_gpu

__all__ = ["CoresMeter", "EnergyMeter", "explain_noise", "look_at_machine"]

PROC = Path("/proc")
CPUFREQ = Path("/sys/devices/system/cpu")
WIDEST = 0.05
"""Half width of the median's interval, relative to it, from which on a measurement is called noisy."""
CROWDED = 1.5
"""The same of runnable processes per core, where others' time is unknown; a measurement itself is one per core."""
SPARE = 0.25
"""Cores that others may take of those that the measurement computes with; they may take half of the rest, too, for neighbours
share caches: beside one busy process on the other of two cores a search took 1.3 times as long."""
SHORTEST_LOOK = 0.2
"""Seconds below which the kernel's counts of busy time, which move every 10 ms, say nothing."""
SHORTEST_ENERGY = 0.2
"""Seconds below which the GPU's energy counter, which moves every 20 to 100 ms, says nothing."""


def look_at_machine(device: torch.device) -> MachineRecord:
    """Load, clocks, power and other processes on the GPU, now."""
    gpu = open_gpu(device)
    told = gpu if isinstance(gpu, NvmlGpu) else None
    return MachineRecord(
        load_average=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        cpu_mhz=_cpu_mhz(),
        gpu_mhz=told.clock_mhz() if told else None,
        gpu_watts=told.watts() if told else None,
        gpu_processes=told.other_processes() if told else None,
    )


def explain_noise(
    rates: Sequence[float], *looks: MachineRecord, others: float | None = None, threads: int = 1
) -> str | None:
    """Why to distrust a measurement; None if nothing speaks against it.

    Args:
        rates: the samples.
        looks: what the machine was doing before and after.
        others: how many cores other processes kept busy, see :class:`CoresMeter`.
        threads: how many it computed with.
    """
    found = []
    low, high = median_interval(rates)
    if low is None or high is None:
        found.append("too few samples for an interval")
    elif (high - low) / 2 > WIDEST * statistics.median(rates):
        found.append(f"the interval is wider than ±{WIDEST:.0%} of the median")
    cores = len(_own_cores())
    if others is not None:
        if others > max(cores - threads, 0) / 2 + SPARE:
            found.append(f"other processes kept {others:.1f} of {cores} cores busy")
    elif any(look.load_average is not None and look.load_average > CROWDED * cores for look in looks):
        found.append("other processes kept the machine's cores busy")
    if any(look.gpu_processes for look in looks):
        found.append("other processes were on the GPU")
    return "; ".join(found) or None


class CoresMeter:
    """How many of the cores that this process may use others keep busy from its creation on, a virtual machine's host too."""

    def __init__(self) -> None:
        self._start = time.monotonic(), _busy_seconds()

    def others(self) -> float | None:
        """Cores, on average; None where the system does not say or it was too short to tell."""
        (began, before), now, busy = self._start, time.monotonic(), _busy_seconds()
        if before is None or busy is None or now - began < SHORTEST_LOOK:
            return None
        return max(busy - before, 0.0) / (now - began)


class EnergyMeter:
    """Energy that the GPU draws from its creation on."""

    def __init__(self, device: torch.device) -> None:
        gpu = open_gpu(device)
        self._gpu = gpu if isinstance(gpu, NvmlGpu) else None
        self._reason = gpu if isinstance(gpu, str) else "the driver does not tell"
        self._start = self._gpu.joules() if self._gpu else None

    def per_image(self, images: float, seconds: float) -> tuple[float | None, str | None]:
        """Joules for each of so many images that took so long, or None and why."""
        stop = self._gpu.joules() if self._gpu else None
        if self._start is None or stop is None:
            return None, self._reason
        if seconds < SHORTEST_ENERGY:
            return None, f"it took less than {SHORTEST_ENERGY} s"
        return (stop - self._start) / images, None


def _own_cores() -> set[int]:
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))


def _busy_seconds() -> float | None:
    """Time that others have had on the cores of this process, since the machine started."""
    times = {int(core): rest for core, rest in re.findall(r"^cpu(\d+) (.*)$", read(PROC / "stat"), re.MULTILINE)}
    own = _own_cores()
    if not own <= times.keys():
        return None
    ticks = sum(_busy_ticks(times[core].split()) for core in own)
    return ticks / os.sysconf("SC_CLK_TCK") - time.process_time()


def _busy_ticks(counts: Sequence[str]) -> int:
    """Of user, nice, system, idle, iowait, irq, softirq, steal and what is part of those, all but idle and iowait."""
    numbers = [int(count) for count in counts[:8]]
    return sum(numbers) - sum(numbers[3:5])


def _cpu_mhz() -> float | None:
    files = CPUFREQ.glob("cpu[0-9]*/cpufreq/scaling_cur_freq")
    khz = [int(text) for text in (read(file).strip() for file in files) if text.isdecimal()]
    if not khz:  # a virtual machine has the clock in /proc at most
        mhz = [float(found) for found in re.findall(r"^cpu MHz\s*:\s*([\d.]+)$", read(PROC / "cpuinfo"), re.MULTILINE)]
        return statistics.fmean(mhz) if mhz else None
    return statistics.fmean(khz) / 1e3


def read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
