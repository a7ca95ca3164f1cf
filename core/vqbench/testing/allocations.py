"""How much memory tensors take while a block of code runs: counted, not sampled, so that it is the same every time."""

from __future__ import annotations

import weakref
from typing import Any

from torch import Tensor, UntypedStorage
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

__all__ = ["Allocations"]


class Allocations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Bytes of the tensors that operations return, inside autograd functions and the backward pass as well.

    What an operation takes and gives back before it returns is not seen.

    Attributes:
        largest: of one tensor.  live: alive now.  peak: alive at once.  total: all that ever were.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.largest = self.live = self.peak = self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        given = {leaf.untyped_storage().data_ptr() for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor) and (storage := leaf.untyped_storage()).data_ptr() not in given:
                self._count(storage)
        return out

    def _count(self, storage: UntypedStorage) -> None:
        size = storage.nbytes()
        self.total, self.largest = self.total + size, max(self.largest, size)
        self.live += size
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._free, size)

    def _free(self, size: int) -> None:
        self.live -= size
