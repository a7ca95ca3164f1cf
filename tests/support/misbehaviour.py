"""The ways in which a plugin's code misbehaves. Light: a plugin's module imports it."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

__all__ = ["WAYS", "misbehave"]


class OwnInterrupt(KeyboardInterrupt):
    pass


class Mute(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


def _fail() -> None:
    raise ZeroDivisionError("the plugin's own")


def _exit() -> None:
    sys.exit("enough")


def _interrupt() -> None:
    raise OwnInterrupt


def _mute() -> None:
    raise Mute


def _print() -> None:
    print("through Python")
    print("through the first stream", file=sys.__stdout__)
    os.write(1, b"through the descriptor\n")
    subprocess.run(["echo", "through a child"], check=True)


def _hang() -> None:
    time.sleep(600)


def _hang_on() -> None:
    """Hangs, and swallows what would stop it, once."""
    try:
        time.sleep(600)
    except BaseException:
        time.sleep(600)


def _hang_in_c() -> None:
    """Hangs in C code that no signal reaches."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM, signal.SIGTERM])
    ctypes.PyDLL(None).sleep(600)


def _vanish() -> None:
    os._exit(7)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _exhaust() -> None:
    bytearray(1 << 62)


WAYS: dict[str, Callable[[], None]] = {
    "fail": _fail,
    "exit": _exit,
    "interrupt": _interrupt,
    "mute": _mute,
    "print": _print,
    "hang": _hang,
    "hang_on": _hang_on,
    "hang_in_c": _hang_in_c,
    "vanish": _vanish,
    "die": _die,
    "exhaust": _exhaust,
}


def misbehave(order: str, place: str, usual: Any = None) -> Any:
    """What a place returns: ``usual``, unless ``order`` is ``"place=way"`` of this one; then that happens, or, where the
    way is ``nonsense``, the text ``"nonsense"`` is returned."""
    where, _, way = order.partition("=")
    if where != place:
        return usual
    if way == "nonsense":
        return "nonsense"
    WAYS[way]()
    return usual
