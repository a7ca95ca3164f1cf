"""Reductions over the processes of a distributed run: what a batch defines is defined by the whole batch."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

__all__ = ["max_over_processes", "mean_over_processes", "min_over_processes", "processes", "sum_over_processes"]


def processes() -> int:
    """How many processes train together; 1 where ``torch.distributed`` is not initialised."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def sum_over_processes(value: Tensor) -> Tensor:
    """The element-wise sum of every process's tensor, of one shape and dtype; the same on all of them.

    Differentiable: the gradient that reaches a process's tensor is the sum of all processes' gradients. Together with
    the averaging of parameter gradients by DistributedDataParallel, a loss of the reduced value that every process
    computes gets the gradient that one process would give it on the whole batch.
    """
    if processes() == 1:
        return value
    total: Tensor = _Sum.apply(value)
    return total


def mean_over_processes(value: Tensor) -> Tensor:
    """The element-wise mean of every process's floating-point tensor; differentiable as :func:`sum_over_processes`.

    It is the mean over the whole batch only where processes hold equally many items; otherwise reduce sums and counts.
    """
    return value if (count := processes()) == 1 else sum_over_processes(value) / count


def max_over_processes(value: Tensor) -> Tensor:
    """The element-wise maximum of every process's tensor, detached."""
    return value.detach() if processes() == 1 else _reduced(value, dist.ReduceOp.MAX)


def min_over_processes(value: Tensor) -> Tensor:
    """The element-wise minimum of every process's tensor, detached."""
    return value.detach() if processes() == 1 else _reduced(value, dist.ReduceOp.MIN)


def _reduced(value: Tensor, operation: Any) -> Tensor:
    reduced = value.detach().clone(memory_format=torch.contiguous_format)
    dist.all_reduce(reduced, op=operation)
    return reduced


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        return _reduced(value, dist.ReduceOp.SUM)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _reduced(gradient, dist.ReduceOp.SUM)
