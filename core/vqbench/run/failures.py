"""Why a job did not end well: from an exception in the worker, or from how the worker's process died."""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Iterator

from vqbench.errors import UnavailableError, VQBenchError
from vqbench.plugin_code import describe, message_of
from vqbench.run.job import Failure, Stage

__all__ = ["died", "explain", "interrupted", "is_out_of_memory", "timed_out"]

ALLOCATOR_COMPLAINTS = (
    "can't allocate memory",
    "cannot allocate memory",
    "not enough memory",
    "out of memory",
)
LESS_MEMORY = "Lower recipe.batch_size or evaluation.batch_size, or run fewer jobs at a time (--jobs)."


def explain(error: BaseException, stage: Stage, *, asked_to_stop: bool = True) -> Failure:
    """The failure that an exception stands for; called in the worker.

    ``asked_to_stop`` says whether a KeyboardInterrupt was asked for; else it is the job's own doing.
    """
    kind = type(error).__name__
    message = message_of(error) or kind
    text = "".join(traceback.format_exception(error))
    if is_out_of_memory(error):
        return Failure(
            status="out_of_memory", stage=stage, kind=kind, message=f"{_ended(message)} {LESS_MEMORY}", traceback=text
        )
    if isinstance(error, UnavailableError):
        return Failure(status="unavailable", stage=stage, kind=kind, message=message, traceback=text)
    if isinstance(error, KeyboardInterrupt):
        if asked_to_stop:
            return Failure(status="interrupted", stage=stage, kind=kind, message="stopped", traceback=text)
        message = f"the job raised {kind}, though nobody interrupted it"
    elif isinstance(error, SystemExit):
        message = f"the worker called exit({error.code!r})"
    elif not isinstance(error, VQBenchError):
        message = describe(error)
    return Failure(status="failed", stage=stage, kind=kind, message=message, traceback=text)


def died(exit_code: int | None, stage: Stage, *, out_of_memory: bool, within: str = "") -> Failure:
    """The failure of a process that ended without a word.

    Args:
        exit_code: minus the signal's number for a death by signal; None where nobody knows.
        stage: where it was.
        out_of_memory: the kernel killed a process for memory while it ran.
        within: which plugin's code it was in.
    """
    where = _where(within)
    if exit_code is None or exit_code >= 0:
        how = "ended" if exit_code is None else f"exited with code {exit_code}"
        return Failure(
            status="failed",
            stage=stage,
            kind="WorkerDied",
            message=f"the worker {how} without reporting a result{where}",
        )
    try:
        name = f" ({signal.Signals(-exit_code).name})"
    except ValueError:
        name = ""
    message = f"the worker was killed by signal {-exit_code}{name}{where}"
    if exit_code == -signal.SIGKILL and out_of_memory:
        message += f"; the kernel ran out of memory meanwhile. {LESS_MEMORY}"
        return Failure(status="out_of_memory", stage=stage, kind="WorkerKilled", message=message)
    return Failure(status="failed", stage=stage, kind="WorkerKilled", message=message)


def timed_out(seconds: float, stage: Stage, *, within: str = "") -> Failure:
    """The failure of a job that outlived its limit; ``within`` says which plugin's code it was in then."""
    return Failure(
        status="timeout",
        stage=stage,
        kind="Timeout",
        message=f"the job ran longer than {seconds:g} seconds{_where(within)}",
    )


def interrupted(stage: Stage) -> Failure:
    """The failure of a job that was asked to stop."""
    return Failure(
        status="interrupted",
        stage=stage,
        kind="Interrupted",
        message="the run was stopped before the job ended",
    )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception, or what it was raised from, says that memory ran out, the machine's or a GPU's."""
    torch = sys.modules.get("torch")  # imported only if the job did
    kinds = (MemoryError, getattr(torch, "OutOfMemoryError", MemoryError))
    for cause in _causes(error):
        if isinstance(cause, kinds):
            return True
        if isinstance(cause, (RuntimeError, OSError)):
            text = message_of(cause).lower()
            if any(complaint in text for complaint in ALLOCATOR_COMPLAINTS):
                return True
    return False


def _where(within: str) -> str:
    return f"; it was in {within}" if within else ""


def _ended(sentence: str) -> str:
    return sentence if sentence.endswith((".", "?", "!")) else f"{sentence}."


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it was explicitly raised from."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__
