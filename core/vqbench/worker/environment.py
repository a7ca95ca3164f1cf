"""Where a measurement was made."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

import torch

from vqbench.canonical import content_id
from vqbench.errors import UsageError
from vqbench.results import EnvironmentRecord

__all__ = ["choose_device", "describe_environment"]

PACKAGES = ("torch", "timm", "numpy", "scipy", "scikit-image", "pillow")


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


def describe_environment(device: torch.device, *, threads: int, dtype: str = "float32") -> EnvironmentRecord:
    """The environment of this process; its fingerprint covers device, dtype, library minors and thread count."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    packages = {package: _version(package) for package in PACKAGES}
    identity = {
        "device": name,
        "dtype": dtype,
        "threads": threads,
        "libraries": {package: packages[package].split("+")[0].split(".")[:2] for package in ("torch", "timm")},
        "tf32": bool(torch.backends.cuda.matmul.allow_tf32) if device.type == "cuda" else False,
    }
    return EnvironmentRecord(
        fingerprint=content_id(identity),
        device=name,
        dtype=dtype,
        threads=threads,
        platform=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        packages=packages,
    )


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
