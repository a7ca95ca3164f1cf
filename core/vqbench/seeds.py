"""Seeds derived from names, so that adding a component never shifts another's numbers."""

from __future__ import annotations

import hashlib

__all__ = ["derive_seed"]


def derive_seed(seed: int, *names: str) -> int:
    """A 63-bit seed for the purpose that ``names`` spell, e.g. ``derive_seed(0, "init", "backbone")``.

    The same arguments give the same seed on every machine and in every version; different names give unrelated seeds.
    """
    text = "\x1f".join((str(seed), *names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
