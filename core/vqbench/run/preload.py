"""Imported by the fork server before its first fork: what all workers need, imported once.

The parent names the modules in an environment variable (JSON). A module that fails here fails again in the worker that
needs it, where the failure is reported; here it must not take the server down. Its traceback is kept for the log.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import traceback
from importlib import import_module

__all__ = ["FAILED", "VARIABLE"]

VARIABLE = "VQBENCH_FORK_SERVER"
FAILED: dict[str, str] = {}
"""Module → traceback, of those that could not be imported."""


def _preload() -> None:
    text = os.environ.pop(VARIABLE, None)
    if text is None:  # not in the fork server
        return
    with contextlib.suppress(OSError):
        os.setpgid(0, 0)  # a signal to the terminal's group is the parent's business
    # counting GPUs then asks the driver's library and does not start CUDA, which would not survive a fork
    os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
    order = json.loads(text)
    sys.path[:] = order["path"]
    for name in order["modules"]:
        try:
            import_module(name)
        except Exception:
            FAILED[name] = traceback.format_exc()


_preload()
