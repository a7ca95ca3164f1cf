"""A process for one contender and one case: asked over its input, it answers in lines of JSON on its output.

The first line it reads says what to measure; it then prepares, calls once on a few rows so that libraries are loaded,
and measures the memory of the first full call. Each further line ``{"calls": n}`` is answered with n times in seconds.
So every contender has its own libraries, threads and memory, and the process that asks can take turns among them.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from dataclasses import replace
from typing import Any, TextIO

import torch
from safetensors.torch import save_file

from benchmarks.peers.cases import Case, make_inputs
from benchmarks.peers.contender import Outputs, Run
from benchmarks.peers.contenders import CONTENDERS
from benchmarks.peers.memory import confine_to, extra_bytes, free_bytes

__all__ = ["main", "serve"]

WARM_UP_ROWS = 256
GIGABYTE = 1e9


def main() -> None:
    """Serve one contender until the input ends."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever libraries print must not mix with the answers
    serve(sys.stdin, answers)


def serve(questions: TextIO, answers: TextIO) -> None:
    """Read what to measure, and answer each line with one line."""
    try:
        _serve(json.loads(questions.readline()), questions, answers)
    except (MemoryError, torch.OutOfMemoryError) as error:
        _say(answers, status="cannot allocate", reason=_first_line(error))
    except RuntimeError as error:
        out_of_memory = "allocate memory" in str(error)  # torch on a CPU
        _say(answers, status="cannot allocate" if out_of_memory else "failed", reason=_first_line(error))
    except Exception as error:
        _say(answers, status="failed", reason=f"{type(error).__name__}: {_first_line(error)}")


def _serve(task: dict[str, Any], questions: TextIO, answers: TextIO) -> None:
    device = torch.device(task["device"])
    torch.set_num_threads(task["threads"])
    case = Case(**{**task["case"], "levels": tuple(task["case"]["levels"])})
    implementation = CONTENDERS[task["contender"]].implementations[case.operation]
    inputs = make_inputs(case, device)
    few = replace(case, rows=min(WARM_UP_ROWS, case.rows))
    implementation.prepare(few, inputs.first(few.rows))()
    run = implementation.prepare(case, inputs)
    free = free_bytes(device)
    need = implementation.need(case)
    if free is not None and need > free:
        reason = f"takes {need / GIGABYTE:,.0f} GB, {free / GIGABYTE:,.0f} GB are free"
        _say(answers, status="cannot allocate", reason=reason)
        return
    if free is not None and device.type == "cpu":
        confine_to(free)
    gc.collect()
    start = time.perf_counter()
    outputs, extra = extra_bytes(run, device)
    seconds = time.perf_counter() - start
    _save(task["answer_file"], case, outputs)
    del outputs
    _say(answers, status="ready", extra_bytes=extra, first_seconds=seconds)
    for line in questions:
        _say(answers, seconds=[_timed(run, device) for _ in range(json.loads(line)["calls"])])


def _timed(run: Run, device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    start = time.perf_counter()
    run()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def _save(path: str, case: Case, outputs: Outputs) -> None:
    """Codes ``(N, T)`` and, in training, gradients ``(N, d)``."""
    arrays = {"codes": torch.as_tensor(outputs.codes).long().reshape(case.rows, case.stages)}
    if outputs.gradient is not None:
        arrays["gradient"] = outputs.gradient.reshape(case.rows, case.dim).contiguous()
    save_file(arrays, path)


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).strip().splitlines()[0][:200]


def _say(answers: TextIO, **answer: Any) -> None:
    print(json.dumps(answer), file=answers)


if __name__ == "__main__":
    main()
