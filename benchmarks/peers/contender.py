"""What a contender is: a way of doing some of the operations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor

from benchmarks.peers.cases import Case, Inputs, Operation

__all__ = ["Contender", "Implementation", "Outputs", "Run", "as_maps", "as_sequences", "training_step"]


class Outputs(NamedTuple):
    """What one call returns: tensors or arrays, rows in the order of the inputs.

    ``codes`` hold N entries (N·T with stages, the stage last), ``value`` N·d, ``gradient`` N·d with respect to the vectors.
    """

    codes: Any
    value: Any = None
    gradient: Any = None


Run: TypeAlias = Callable[[], Outputs]


@dataclass(frozen=True, kw_only=True)
class Implementation:
    """One contender's way of one operation.

    Attributes:
        prepare: makes what is timed. Modules, tables and layouts are made here, outside the timing.
        need: bytes that a call is known to take beside its inputs and results: it is not tried where they are not free.
        memory_grows: whether memory grows with the rows (it is then scaled like time when fewer rows are measured).
    """

    prepare: Callable[[Case, Inputs], Run]
    need: Callable[[Case], int] = lambda case: 0
    memory_grows: bool = True


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A library, or a plain way of writing the operation.

    Attributes:
        name: as the tables show it.
        implementations: of the operations it has; of quantizers those in evaluation and in training alike.
        module: what must be importable.
        package: the distribution that holds it, for its version and the install hint.
        device: the only kind of device it runs on; None for any.
        training: in which modes it has the operation; None for both.
        same_gradient: whether its training loss is by definition that of the contender ``vqbench``.
    """

    name: str
    implementations: Mapping[Operation, Implementation]
    module: str | None = None
    package: str | None = None
    device: Literal["cpu", "cuda"] | None = None
    training: bool | None = None
    same_gradient: bool = True

    def does(self, case: Case, device: str) -> bool:
        """Whether it has the operation of a case, on a kind of device."""
        return (
            case.operation in self.implementations
            and self.device in (None, device)
            and self.training in (None, case.training)
        )


def as_maps(rows: Tensor) -> Tensor:
    """Rows ``(N, d)`` as an image tokenizer's latents ``(B, d, h, w)``, contiguous."""
    side = next(side for side in (32, 16, 8, 4, 2, 1) if len(rows) % side**2 == 0)
    return rows.reshape(-1, side, side, rows.shape[1]).permute(0, 3, 1, 2).contiguous()


def as_sequences(rows: Tensor) -> Tensor:
    """Rows ``(N, d)`` as sequences ``(B, n, d)``, the layout that other libraries need no copy for."""
    return rows.reshape(-1, next(n for n in (1024, 256, 64, 1) if len(rows) % n == 0), rows.shape[1])


def training_step(
    forward: Callable[[Tensor], tuple[Tensor, Tensor, Tensor | None]], latents: Tensor, gradient: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Codes, value and the gradient at the latents of ``Σ gradient · value + loss``, by one forward and backward pass.

    ``forward`` returns value, codes and the loss, None for none.
    """
    value, codes, loss = forward(latents)
    heads, seeds = [value], [gradient]
    if loss is not None:
        heads, seeds = [value, loss], [gradient, torch.ones_like(loss)]
    (slope,) = torch.autograd.grad(heads, latents, seeds)
    return codes, value.detach(), slope
