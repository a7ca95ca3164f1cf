"""The global generators of random numbers, which evaluation must neither listen to nor move."""

from __future__ import annotations

import contextlib
import pickle
import random
from collections.abc import Iterator

import numpy as np
import torch

from vqbench.testing.check import expect

__all__ = ["expect_no_draw", "reseed"]


def reseed(seed: int) -> None:
    """Seed Python's, numpy's and torch's global generators; a check's own are put back after it."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


@contextlib.contextmanager
def expect_no_draw(what: str) -> Iterator[None]:
    """A block that leaves the global generators where they are; ``what`` names what it does, e.g. ``"evaluation"``.

    Raises:
        CheckFailure: it moved one.
    """
    before = _states()
    yield
    moved = [name for name, state in _states().items() if state != before[name]]
    expect(not moved, f"{what} draws from a global generator", got=", ".join(moved), expected="none")


def _states() -> dict[str, bytes]:
    return {
        "Python's": pickle.dumps(random.getstate()),
        "numpy's": pickle.dumps(np.random.get_state()),
        "torch's": torch.get_rng_state().numpy().tobytes(),
    }
