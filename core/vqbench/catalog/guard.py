"""Code of plugins in the process that plans: it may not print into our output, keep us waiting for ever, or end us."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

from vqbench.errors import UsageError
from vqbench.plugin_code import EndedProcess, TookTooLong

__all__ = ["PATIENCE", "kept_alive", "patience", "printing_to_stderr", "stopped_after"]

PATIENCE = "VQBENCH_PLUGIN_SECONDS"
DEFAULT_SECONDS = 30.0
SECONDS_BETWEEN_ALARMS = 1.0
"""A plugin may swallow the first one, in a bare ``except`` say."""


def patience() -> float | None:
    """Seconds that a plugin may take to load, and a function of a descriptor to answer; None for no limit.

    ``VQBENCH_PLUGIN_SECONDS``; 30 by default, and 0 for no limit.

    Raises:
        UsageError: it is set to something else than a number of seconds.
    """
    text = os.environ.get(PATIENCE, "").strip() or str(DEFAULT_SECONDS)
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise UsageError(f"{PATIENCE} is malformed", got=repr(text), expected="a number of seconds, 0 for no limit")
    return seconds or None


@contextlib.contextmanager
def stopped_after(seconds: float | None, setting: str = PATIENCE) -> Iterator[None]:
    """A block that an alarm ends after some seconds, wherever Python code in it is then; None for never.

    The message names the ``setting`` that the limit comes from.

    Code in C that neither returns nor looks for signals cannot be ended. Nor is anything ended outside the main thread, on a
    system without such alarms, or where somebody else has set one: a worker has, and a time limit for its whole job.

    Raises:
        TookTooLong: it did.
    """
    if seconds is None or not _alarm_is_free():
        yield
        return
    ended = False

    def stop(number: int, frame: FrameType | None) -> None:
        if not ended:
            raise TookTooLong(f"it took longer than {seconds:g} seconds ({setting} sets the limit)")

    signal.signal(signal.SIGALRM, stop)
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, seconds, SECONDS_BETWEEN_ALARMS)
            yield
        finally:
            ended = True
    finally:  # even if an alarm came in the line above
        if signal.getsignal(signal.SIGALRM) is stop:  # else the plugin has taken it over
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)


def _alarm_is_free() -> bool:
    return (
        hasattr(signal, "setitimer")
        and threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGALRM) is signal.SIG_DFL
        and signal.getitimer(signal.ITIMER_REAL)[0] == 0
    )


@contextlib.contextmanager
def kept_alive() -> Iterator[None]:
    """A block in which ``os._exit``, which nothing could catch, raises instead of ending this process.

    A process that the block forks ends by it as ever. What ends a process from outside of Python, a crash in C code say, is
    not held up.

    Raises:
        EndedProcess: it was called.
    """
    leave, here, over = os._exit, os.getpid(), False

    def stay(status: int) -> NoReturn:
        if over or os.getpid() != here:  # a plugin may have kept this function
            leave(status)
        raise EndedProcess(f"it called os._exit({status!r}), which would have ended vqbench")

    os._exit = stay
    try:
        yield
    finally:
        over = True
        os._exit = leave


@contextlib.contextmanager
def printing_to_stderr() -> Iterator[None]:
    """A block whose output goes to standard error, also that of C code and of processes it starts: ours may be JSON."""
    with contextlib.redirect_stdout(sys.stderr), _descriptor_to_stderr():
        yield


@contextlib.contextmanager
def _descriptor_to_stderr() -> Iterator[None]:
    try:
        _flush()
        kept = os.dup(1)
        os.dup2(2, 1)
    except OSError:  # one of them is closed
        yield
        return
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            _flush()  # what was written to sys.__stdout__
        os.dup2(kept, 1)
        os.close(kept)


def _flush() -> None:
    if sys.__stdout__ is not None:
        with contextlib.suppress(ValueError):  # it is closed
            sys.__stdout__.flush()
