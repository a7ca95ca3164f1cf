"""Calls into code of plugins: whose code runs is known, whatever becomes of it.

A plugin's code can raise, hang, or end the process without a word. What it raises becomes an error that names the component;
for the rest, a *trace* says in a few words what is being called. A worker's trace lies in memory that it shares with its
parent, which can therefore tell what the worker died in, or was stopped in.
"""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Protocol

from vqbench.errors import PluginError, VQBenchError

__all__ = [
    "TRACE_BYTES",
    "EndedProcess",
    "Stopped",
    "TookTooLong",
    "Trace",
    "calling",
    "describe",
    "keep_trace",
    "message_of",
    "within",
]

TRACE_BYTES = 256
MAX_MESSAGE = 2_000


class Trace(Protocol):
    """A text of up to :data:`TRACE_BYTES` bytes that another process may read, such as an array of :mod:`ctypes`."""

    value: bytes


class _Own:
    """A trace that nobody reads."""

    value = b""


_trace: Trace = _Own()


class Stopped(BaseException):
    """A plugin's code was stopped. Not an Exception: a plugin that catches those does not catch this."""


class TookTooLong(Stopped):
    """It was stopped at its time limit."""


class EndedProcess(Stopped):
    """It was stopped where it would have ended the process."""


def keep_trace(trace: Trace) -> None:
    """From here on say in ``trace`` which code of a plugin the main thread is in."""
    global _trace
    _trace = trace


class within:
    """A block in which code of a plugin runs; ``what`` says which, e.g. ``"quantizer 'my-plugin/rounding': forward"``.

    Of blocks within blocks the innermost counts. Threads other than the main one leave no trace.
    """

    __slots__ = ("_before", "_what")

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        self._before = _trace.value
        _leave(self._what.encode(errors="replace")[: TRACE_BYTES - 1])

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        _leave(self._before)


class calling(within):
    """A call of a component's method or function: what it raises becomes a :class:`~vqbench.errors.PluginError` that says
    who failed in what.

    Args:
        owner: the component, e.g. ``"quantizer 'my-plugin/rounding'"``.
        what: the method or function, e.g. ``"forward"``.

    Raises:
        PluginError: anything was raised but an error of vqbench's own, which goes on as it is, and the interruption of the run.
    """

    __slots__ = ("_called", "_owner")

    def __init__(self, owner: str, what: str) -> None:
        super().__init__(f"{owner}: {what}")
        self._owner, self._called = owner, what

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        super().__exit__(kind, error, at)
        # A subclass of KeyboardInterrupt is the plugin's own, and no Ctrl-C. GeneratorExit closes a generator of ours.
        if error is None or isinstance(error, VQBenchError | GeneratorExit) or type(error) is KeyboardInterrupt:
            return
        raise PluginError(f"{self._owner} failed in {self._called}: {describe(error)}") from error


def describe(error: BaseException) -> str:
    """The type and message of an exception; of a refusal of ours the message."""
    text = message_of(error)
    if isinstance(error, PluginError | Stopped):
        return text[:MAX_MESSAGE]
    return f"{type(error).__name__}: {text}"[:MAX_MESSAGE] if text else type(error).__name__


def message_of(error: BaseException) -> str:
    """The message of an exception, even of one that cannot print itself."""
    try:
        return str(error)
    except Exception:
        return "(its message cannot be printed)"


def _leave(text: bytes) -> None:
    if threading.current_thread() is threading.main_thread():
        _trace.value = text
