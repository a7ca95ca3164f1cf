"""Elementwise work as few passes over a GPU's memory."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor

__all__ = ["fused"]

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")
BACKEND = "inductor"
_failed = False


def fused(function: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
    """The function, compiled by ``torch.compile`` where a tensor it is given lies on a GPU, as it is written elsewhere.

    On CPUs such functions already go through memory in parts that a cache holds. Where compilation fails, a warning says
    so once and the function runs as it is written.
    """
    compile_once = functools.cache(lambda: torch.compile(function, dynamic=True, backend=BACKEND))  # slow to import

    @functools.wraps(function)
    def call(*arguments: _Parameters.args, **options: _Parameters.kwargs) -> _Result:
        global _failed
        if _failed or torch.compiler.is_compiling() or not any(map(_on_gpu, arguments)):
            return function(*arguments, **options)
        try:
            return compile_once()(*arguments, **options)
        except Exception as error:
            result = function(*arguments, **options)  # raises again what is the function's own fault
            _failed = True
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            warnings.warn(f"quantizers run uncompiled: torch.compile failed: {reason}", stacklevel=2)
            return result

    return call


def _on_gpu(argument: object) -> bool:
    return isinstance(argument, Tensor) and argument.is_cuda
