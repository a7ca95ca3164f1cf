"""Canonical JSON and the content hashes made of it."""

from __future__ import annotations

import hashlib
import json

__all__ = ["canonical_json", "content_id"]


def canonical_json(value: object) -> str:
    """The one JSON text of a value: sorted keys, no spaces, no NaN or infinity.

    Raises:
        ValueError: the value holds NaN or infinity.
        TypeError: the value is not JSON.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def content_id(value: object, *, length: int = 16) -> str:
    """Hexadecimal digest (SHA-256, first ``length`` digits) of a value's canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:length]
