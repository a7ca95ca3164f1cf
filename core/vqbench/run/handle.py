"""The parent's side of one worker process."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import pickle
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal

from vqbench.plugin_code import TRACE_BYTES, Trace
from vqbench.run import preload as preload_module
from vqbench.run.failures import died, explain, interrupted, timed_out
from vqbench.run.job import Failure, Message, Progress, Stage
from vqbench.run.machine import oom_kills
from vqbench.run.messages import MAX_MESSAGE_BYTES, decode
from vqbench.run.process import serve
from vqbench.run.schedule import Task

__all__ = ["Worker", "start_worker"]

LOG_TAIL_BYTES = 64 << 10
MAX_LOG_BYTES = 16 << 20
SECONDS_BETWEEN_ATTEMPTS = (0.1, 0.3, 1.0, 3.0)
SECONDS_TO_EXIT = 5.0
"""What a process may take to end once it has reported the job's end."""


def start_worker(
    task: Task,
    *,
    entry: str,
    log_path: Path,
    threads: int,
    preload: Sequence[str] = (),
    timeout: float | None = None,
    grace: float = 10.0,
    memory_limit_bytes: int | None = None,
) -> Worker:
    """Fork a worker from the fork server, which is started if it does not run.

    Raises:
        Exception: whatever kept the process from starting; nothing is left behind.
    """
    job = pickle.dumps(task.job)
    log_path.parent.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("forkserver")
    # A server that has died is started anew. One that died just now may owe it to a module that crashes on import: leave
    # that to the worker, whose end is reported; and give the dying some time until its death shows.
    modules = list(preload)
    for pause in (*SECONDS_BETWEEN_ATTEMPTS, None):
        ours, theirs = context.Pipe(duplex=True)
        trace: Trace = context.RawArray("c", TRACE_BYTES)
        process = context.Process(
            target=serve, args=(entry, job, theirs, log_path, threads, trace, memory_limit_bytes), name=task.id
        )
        context.set_forkserver_preload([preload_module.__name__])
        os.environ[preload_module.VARIABLE] = json.dumps({"modules": modules, "path": sys.path})
        try:
            process.start()
        except (OSError, EOFError):
            ours.close()
            if pause is None:
                raise
            modules = []
            time.sleep(pause)
        else:
            return Worker(task, process, ours, trace, log_path, timeout, grace)
        finally:
            theirs.close()
            del os.environ[preload_module.VARIABLE]
    raise AssertionError("unreachable")


class Worker:
    """A running job: its process, what it has reported, and how it is brought to an end."""

    def __init__(
        self,
        task: Task,
        process: multiprocessing.process.BaseProcess,
        connection: Connection,
        trace: Trace,
        log_path: Path,
        timeout: float | None,
        grace: float,
    ) -> None:
        assert process.pid is not None
        self.task = task
        self.stage: Stage = "start"
        self.started = time.monotonic()
        self._process, self._pid = process, process.pid
        self._connection: Connection | None = connection  # None once the worker has closed its end
        self._trace, self._within = trace, ""
        self._log_path = log_path
        self._timeout, self._grace = timeout, grace
        self._deadline = None if timeout is None else self.started + timeout
        self._kill_at: float | None = None
        self._stopped: Literal["timeout", "interrupted"] | None = None
        self._outcome: Failure | Literal["done"] | None = None
        self._exit_code: int | None = None
        self._server_lost = False
        self._oom_kills = oom_kills()

    @property
    def waitables(self) -> list[Connection | int]:
        """What becomes ready when there is something to do: the pipe, and the process's end."""
        ends = [] if self._server_lost else [self._process.sentinel]
        return [*([self._connection] if self._connection else []), *ends]

    @property
    def wake_at(self) -> float | None:
        """When :meth:`tend` must be called at the latest, on the monotonic clock."""
        return min((t for t in (self._deadline, self._kill_at) if t is not None), default=None)

    def read(self) -> list[Progress]:
        """Progress since the last call."""
        news: list[Progress] = []
        try:
            while self._connection and self._connection.poll():
                self._take(decode(self._connection.recv_bytes(MAX_MESSAGE_BYTES)), news)
        except ValueError as error:
            self._outcome = explain(error, self.stage)
            self.kill()
        except (OSError, EOFError):  # the worker has closed its end, or died
            if self._connection:
                self._connection.close()
            self._connection = None
            self._end_within(SECONDS_TO_EXIT)
        return news

    def tend(self) -> bool:
        """Enforce time limits and the log's size; whether the process has ended."""
        now = time.monotonic()
        if self._deadline is not None and now >= self._deadline:
            self._deadline = None
            self.stop("timeout")
        if self._kill_at is not None and now >= self._kill_at:
            self._kill_at = now + 1
            self.kill()
        self._bound_log()
        return self._has_ended()

    def stop(self, why: Literal["timeout", "interrupted"]) -> None:
        """Ask the job to stop, and kill it if it has not when its grace is over."""
        if self._outcome is None and self._stopped is None:
            self._stopped, self._within = why, self._plugin_code()
        if self._connection is not None:
            with contextlib.suppress(OSError):
                self._connection.send_bytes(b"stop")
        self._end_within(self._grace)

    def kill(self) -> None:
        """Kill the process and all it started."""
        try:
            os.killpg(self._pid, signal.SIGKILL)
        except ProcessLookupError:  # it has not made its group yet, or is gone
            if not self._server_lost and self._process.exitcode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._pid, signal.SIGKILL)
        except PermissionError:  # it has changed its user
            pass

    def close(self) -> Failure | None:
        """Let go of an ended process; None if the job ended well, else why not."""
        with contextlib.suppress(OSError):
            os.killpg(self._pid, signal.SIGKILL)  # what the job started and left behind
        if self._connection is not None:
            self._connection.close()
        self._process.close()
        return self._failure()

    def _take(self, message: Message, news: list[Progress]) -> None:
        if isinstance(message, Progress):
            self.stage = message.stage
            news.append(message)
        elif self._outcome is None:
            self._outcome = message
            self._end_within(SECONDS_TO_EXIT)

    def _end_within(self, seconds: float) -> None:
        at = time.monotonic() + seconds
        self._kill_at = at if self._kill_at is None else min(at, self._kill_at)

    def _has_ended(self) -> bool:
        if self._server_lost:  # nobody tells; the pipe is closed when the process is gone
            return self._connection is None
        code = self._process.exitcode
        if code is None:
            return False
        if code == 255 and self._connection is not None and _is_alive(self._pid):
            self._server_lost = True  # multiprocessing says 255 where the fork server vanished; the worker lives on
            return False
        self.read()  # what it said last
        self._exit_code = code
        return True

    def _failure(self) -> Failure | None:
        if self._outcome == "done":
            return None
        if self._stopped == "timeout":
            assert self._timeout is not None
            failure = timed_out(self._timeout, self.stage, within=self._within)
        elif self._stopped == "interrupted":
            failure = interrupted(self.stage)
        elif self._outcome is not None:
            failure = self._outcome
        else:
            killed_for_memory = oom_kills() > self._oom_kills
            failure = died(self._exit_code, self.stage, out_of_memory=killed_for_memory, within=self._plugin_code())
        return replace(failure, stderr=self._log_tail())

    def _plugin_code(self) -> str:
        """Which plugin's code the worker is in, or died in."""
        return self._trace.value.decode(errors="replace")

    def _log_tail(self) -> str:
        try:
            with self._log_path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(size - LOG_TAIL_BYTES, 0))
                return file.read(LOG_TAIL_BYTES).decode(errors="replace")
        except OSError:
            return ""

    def _bound_log(self) -> None:
        """Cut a log that has grown too large down to its end. The worker appends, so it goes on behind that."""
        with contextlib.suppress(OSError):
            if self._log_path.stat().st_size > MAX_LOG_BYTES:
                tail = self._log_tail()
                with self._log_path.open("r+b") as file:
                    file.truncate(0)
                    file.write(f"[what came before was cut off]\n{tail}".encode())


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
