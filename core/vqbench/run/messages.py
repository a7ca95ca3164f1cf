"""What crosses the pipe from a worker to the parent: JSON, so that reading it runs no code of a plugin."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any, get_args

from vqbench.run.job import Failure, Message, Progress, Stage

__all__ = ["MAX_MESSAGE_BYTES", "clip", "decode", "encode"]

MAX_MESSAGE_BYTES = 4 << 20
STAGES = frozenset(get_args(Stage))


def encode(message: Message) -> bytes:
    """One message as JSON text, its strings limited to what a record holds.

    Raises:
        ValueError: a stage that does not exist.
    """
    if message == "done":
        return b'{"done": true}'
    if message.stage not in STAGES:
        raise ValueError(f"stage {message.stage!r} is none of {sorted(STAGES)}")
    if isinstance(message, Progress):
        content: dict[str, Any] = {
            "progress": {
                "stage": str(message.stage),
                "done": int(message.done),
                "total": int(message.total),
                "detail": clip(str(message.detail), 200),
            }
        }
    else:
        content = {
            "failure": asdict(message)
            | {
                "kind": clip(message.kind, 200),
                "message": clip(message.message, 20_000),
                "traceback": clip(message.traceback, 100_000, keep_end=True),
                "stderr": clip(message.stderr, 100_000, keep_end=True),
            }
        }
    return json.dumps(content).encode()


def decode(raw: bytes) -> Message:
    """The message that :func:`encode` wrote.

    Raises:
        ValueError: it is none.
    """
    try:
        content = json.loads(raw)
        if "progress" in content:
            return Progress(**content["progress"])
        if "failure" in content:
            return Failure(**content["failure"])
        if "done" in content:
            return "done"
    except TypeError as error:
        raise ValueError(f"not a worker's message: {error}") from error
    raise ValueError("not a worker's message")


def clip(text: str, limit: int, *, keep_end: bool = False) -> str:
    """A text that fits in a record: at most ``limit`` characters, and none that cannot be written as UTF-8."""
    text = text.encode("utf-8", "replace").decode()
    if len(text) <= limit:
        return text
    return "…" + text[-(limit - 1) :] if keep_end else text[: limit - 1] + "…"
