"""Requests to stop the run, without exceptions that strike anywhere."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self, TypeVar

__all__ = ["Interrupts"]

T = TypeVar("T")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """While entered, counts Ctrl-C, SIGTERM and SIGHUP instead of letting them break off what is being done.

    ``fd`` becomes readable with each. Where a call may block for long and can be given up at any point,
    :meth:`immediate` lets the signal raise KeyboardInterrupt after all. Outside the main thread, where Python has no
    signal handlers, it does nothing.
    """

    def __init__(self) -> None:
        self.count = 0
        self._immediate = False
        self._handlers: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        self.fd, self._write_end = os.pipe()
        os.set_blocking(self.fd, False)
        os.set_blocking(self._write_end, False)
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                handler = signal.getsignal(number)
                # nohup's SIGHUP stays ignored; a handler that C code installed could not be put back
                if handler not in (signal.SIG_IGN, None):
                    self._handlers[number] = handler
                    signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        os.close(self.fd)
        os.close(self._write_end)

    def clear(self) -> None:
        """Make ``fd`` wait for the next signal."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.fd, 4096)

    def immediate(self, call: Callable[[], T]) -> T:
        """Call a function that a signal may break off with KeyboardInterrupt."""
        self._immediate = True
        try:
            return call()
        finally:
            self._immediate = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        with contextlib.suppress(BlockingIOError):
            os.write(self._write_end, b"!")
        if self._immediate:
            self._immediate = False
            raise KeyboardInterrupt
