"""Files that strangers may have written are read with a bound on their size."""

from __future__ import annotations

from pathlib import Path

from vqbench.errors import VQBenchError

__all__ = ["read_bounded"]


def read_bounded(path: Path, what: str, limit: int, kind: type[VQBenchError]) -> bytes:
    """The content of a file of at most ``limit`` bytes, whole MiB; ``what`` begins the messages, "Suite file" say.

    Raises:
        VQBenchError: of ``kind``: the file cannot be read, or is larger.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(limit + 1)
    except OSError as error:
        raise kind(f"{what} {path} cannot be read", got=error.strerror) from error
    if len(raw) > limit:
        size = f"{limit >> 20} MiB"
        raise kind(f"{what} {path} is too large", got=f"more than {size}", expected=f"at most {size}")
    return raw
