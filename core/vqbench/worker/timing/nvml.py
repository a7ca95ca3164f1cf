"""What NVIDIA's management library tells of a GPU; nothing where it, or its Python binding, is missing."""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

import torch

__all__ = ["NvmlGpu", "open_gpu"]

Told = TypeVar("Told")
WHY_NOT = "nvidia-ml-py is not installed: pip install 'vqbench[gpu]'"


class NvmlGpu:
    """One GPU; whatever the driver does not tell is None.

    Args:
        library: the module ``pynvml``, initialised.
        handle: its handle of the GPU.
    """

    def __init__(self, library: Any, handle: Any) -> None:
        self._library, self._handle = library, handle

    def clock_mhz(self) -> float | None:
        """Clock of the multiprocessors now."""
        return self._ask(lambda nvml, gpu: float(nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_SM)))

    def watts(self) -> float | None:
        """Power drawn now."""
        return self._ask(lambda nvml, gpu: nvml.nvmlDeviceGetPowerUsage(gpu) / 1e3)

    def joules(self) -> float | None:
        """Energy drawn since the driver was loaded."""
        return self._ask(lambda nvml, gpu: nvml.nvmlDeviceGetTotalEnergyConsumption(gpu) / 1e3)

    def other_processes(self) -> int | None:
        """Processes that compute on the GPU beside this one, which may be listed under another number than it knows itself by."""

        def count(nvml: Any, gpu: Any) -> int:
            processes = {process.pid for process in nvml.nvmlDeviceGetComputeRunningProcesses(gpu)}
            return len(processes - {os.getpid()}) if os.getpid() in processes else max(len(processes) - 1, 0)

        return self._ask(count)

    def _ask(self, question: Callable[[Any, Any], Told]) -> Told | None:
        with contextlib.suppress(self._library.NVMLError):
            return question(self._library, self._handle)
        return None


@lru_cache(maxsize=16)
def open_gpu(device: torch.device) -> NvmlGpu | str:
    """The GPU behind a CUDA device, found by its UUID; or why there is none to ask."""
    if device.type != "cuda":
        return "only NVIDIA GPUs tell"
    try:
        library = importlib.import_module("pynvml")
    except ImportError:
        return WHY_NOT
    try:
        library.nvmlInit()
        uuid = str(torch.cuda.get_device_properties(device).uuid)
        return NvmlGpu(library, library.nvmlDeviceGetHandleByUUID(uuid if uuid.startswith("GPU-") else f"GPU-{uuid}"))
    except library.NVMLError as error:
        return f"NVML: {error}"
