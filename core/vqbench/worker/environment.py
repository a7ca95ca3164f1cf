"""Where a measurement was made."""

from __future__ import annotations

import os
import platform
import re
from importlib import metadata
from pathlib import Path

import torch

from vqbench.canonical import content_id
from vqbench.errors import UsageError
from vqbench.plan import Setting
from vqbench.results import EnvironmentRecord
from vqbench.results.timing import DTYPE_NAMES

__all__ = ["choose_device", "describe_environment"]

PACKAGES = ("torch", "timm", "numpy", "scipy", "scikit-image", "pillow")
DRIVER = Path("/proc/driver/nvidia/version")


def choose_device(name: str) -> torch.device:
    """The device a user asked for: ``auto`` takes a GPU if there is one.

    Raises:
        UsageError: there is no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(
            f"Device {name!r} cannot be used",
            got=str(error).splitlines()[0],
            hint="Try --device cpu, or see `vqbench doctor`.",
        ) from error
    return device


def describe_environment(
    device: torch.device, *, setting: Setting | None = None, threads: int | None = None
) -> EnvironmentRecord:
    """The environment of this process.

    Its fingerprint covers what the speed of a tokenizer depends on, but for the batch size: device, driver, minors of torch, timm
    and CUDA, dtype, thread count, eager or compiled, memory layout.

    Args:
        device: what is computed on.
        setting: how it is timed; float32, eager and contiguous if None.
        threads: that torch computes with, where no setting says; as many as now if None.
    """
    threads = setting.threads if setting else threads or torch.get_num_threads()
    dtype = DTYPE_NAMES[setting.dtype if setting else "fp32"]
    driver = _driver() if device.type == "cuda" else None
    cuda = torch.version.cuda if device.type == "cuda" else None
    how = {
        "compile": setting.compile if setting else False,
        "channels_last": setting.channels_last if setting else False,
    }
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    packages = {package: _version(package) for package in PACKAGES}
    identity = {
        "device": name,
        "dtype": dtype,
        "threads": threads,
        "libraries": {package: packages[package].split("+")[0].split(".")[:2] for package in ("torch", "timm")},
        "driver": driver,
        "cuda": cuda,  # has no patch number
        **how,
    }
    return EnvironmentRecord(
        fingerprint=content_id(identity),
        device=name,
        dtype=dtype,
        threads=threads,
        run_threads=torch.get_num_threads(),
        platform=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        packages=packages,
        driver=driver,
        cuda=cuda,
        batch_size=setting.batch_size if setting else None,
        **how,
    )


def _driver() -> str | None:
    """Version of NVIDIA's kernel module."""
    try:
        found = re.search(r"\b\d{3,}\.\d+(\.\d+)?\b", DRIVER.read_text(errors="replace"))
    except OSError:
        return None
    return found[0] if found else None


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    """The processor's model and how many of its cores this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    model = platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return f"{model} ({cores} cores)"
