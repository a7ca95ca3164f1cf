"""The worker's side of a job's process: output, signals, threads, and how the job's end is reported."""

from __future__ import annotations

import contextlib
import faulthandler
import multiprocessing
import os
import pickle
import resource
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Any, TypeAlias

from vqbench.plugin_code import Trace, keep_trace
from vqbench.run import preload
from vqbench.run.failures import explain
from vqbench.run.job import Message, Progress, Stage
from vqbench.run.messages import encode

__all__ = ["Entry", "Report", "serve"]

Report: TypeAlias = Callable[[Progress], None]
Entry: TypeAlias = Callable[[Any, Report, int], None]
"""``entry(job, report, threads)``: does the job, tells ``report`` about progress, raises to fail."""

F_SETSIG = 10  # Linux; the fcntl module does not name it
SECONDS_BETWEEN_REPORTS = 0.05
SECONDS_TO_NEXT_REPORT = 5.0
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def serve(
    entry: str,
    job: bytes,
    connection: Connection,
    log_path: Path,
    threads: int,
    trace: Trace,
    memory_limit_bytes: int | None = None,
) -> None:
    """Do one job in this process, which was started for it, and report its end to the parent.

    Args:
        entry: ``"package.module:function"``, an :data:`Entry`.
        job: the pickled job.
        connection: this end of the pipe: messages go out, a request to stop may come in.
        log_path: takes standard output and standard error.
        threads: for the job and for the libraries it imports.
        trace: shared with the parent: which plugin's code runs.
        memory_limit_bytes: limit of the address space; None for no limit.
    """
    os.setpgid(0, 0)  # the parent can then kill the job with everything it started
    _redirect_output(log_path)
    _die_with_parent()
    keep_trace(trace)
    reporter = _Reporter(connection)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is the parent's business
    signal.signal(signal.SIGTERM, reporter.ask)
    signal.signal(signal.SIGALRM, reporter.insist)
    threading.Thread(target=_watch, args=(connection, threading.main_thread().ident), daemon=True).start()
    try:
        for variable in THREAD_VARIABLES:
            os.environ[variable] = str(threads)
        for name, text in preload.FAILED.items():
            print(f"could not import {name} ahead of time:\n{text}", file=sys.stderr, flush=True)
        if memory_limit_bytes is not None:
            _limit_memory(memory_limit_bytes)
        module, _, function = entry.partition(":")
        run: Entry = getattr(import_module(module), function)
        run(pickle.loads(job), reporter.report, threads)
        reporter.finish("done")
    except BaseException as error:
        reporter.settle()
        _limit_memory(None)  # room to say what happened
        traceback.print_exc()
        reporter.finish(explain(error, reporter.stage, asked_to_stop=reporter.asked))
    sys.stdout.flush()
    sys.stderr.flush()


class _Reporter:
    """Sends messages, and turns a request to stop into a KeyboardInterrupt.

    It comes out of the next report, where a job is between two steps and can save what it has. A job that does not report for
    some seconds is interrupted wherever it is, but for the middle of a message.
    """

    def __init__(self, connection: Connection) -> None:
        self.stage: Stage = "start"
        self._connection = connection
        self._lock = threading.Lock()
        self._sent_at = 0.0
        self._sending = False  # by the main thread
        self.asked = False  # to stop
        self._settled = False  # stopping already, or done

    def report(self, progress: Progress) -> None:
        """Send progress; of many reports in one stage, only some."""
        if self.asked and not self._settled and _in_main_thread():
            self._interrupt()
        now = time.monotonic()
        minor = progress.stage == self.stage and 0 < progress.done < progress.total
        if minor and now - self._sent_at < SECONDS_BETWEEN_REPORTS:
            return
        content = encode(progress)
        self.stage, self._sent_at = progress.stage, now
        self._send(content)

    def finish(self, message: Message) -> None:
        """Send the last message."""
        self.settle()
        with contextlib.suppress(OSError):  # the parent is gone
            self._send(encode(message))

    def settle(self) -> None:
        """From here on a request to stop comes too late."""
        self._settled = True
        signal.setitimer(signal.ITIMER_REAL, 0)

    def ask(self, number: int, frame: FrameType | None) -> None:
        """Handler of SIGTERM: the job is to stop at its next report, or else in some seconds."""
        if not self.asked and not self._settled:
            self.asked = True
            signal.setitimer(signal.ITIMER_REAL, SECONDS_TO_NEXT_REPORT)

    def insist(self, number: int, frame: FrameType | None) -> None:
        """Handler of SIGALRM: there was no report."""
        if self._sending:
            signal.setitimer(signal.ITIMER_REAL, 0.1)
        elif self.asked and not self._settled:
            self._interrupt()

    def _interrupt(self) -> None:
        self.settle()
        raise KeyboardInterrupt

    def _send(self, content: bytes) -> None:
        if not _in_main_thread():
            with self._lock:
                self._connection.send_bytes(content)
            return
        self._sending = True
        try:
            with self._lock:
                self._connection.send_bytes(content)
        finally:
            self._sending = False


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _redirect_output(log_path: Path) -> None:
    """Send everything this process prints to its log, also what C code prints, and tracebacks of crashes in C."""
    log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    sys.stdout = open(1, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    faulthandler.enable(file=2)


def _die_with_parent() -> None:
    """Have the kernel kill this process group when the parent dies, whatever Python is doing then (Linux).

    Only the parent holds the other end of the sentinel pipe, and nothing more is written to it: the only event to come
    is its closing, for which the kernel is asked to send SIGKILL.
    """
    import fcntl

    parent = multiprocessing.parent_process()
    if parent is None or sys.platform != "linux":
        return
    sentinel: int = parent.sentinel
    fcntl.fcntl(sentinel, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(sentinel, F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(sentinel, fcntl.F_SETFL, fcntl.fcntl(sentinel, fcntl.F_GETFL) | os.O_ASYNC)
    if select.select([sentinel], [], [], 0)[0]:  # it died before
        os.killpg(0, signal.SIGKILL)


def _watch(connection: Connection, main_thread: int) -> None:
    """Wait for the parent's word: to stop, or, by closing the pipe, to vanish."""
    while True:
        try:
            connection.recv_bytes()
        except (OSError, EOFError):
            os.killpg(0, signal.SIGKILL)
        signal.pthread_kill(main_thread, signal.SIGTERM)


def _limit_memory(limit: int | None) -> None:
    """Limit the address space, or lift the limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    soft = hard if limit is None else limit
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
