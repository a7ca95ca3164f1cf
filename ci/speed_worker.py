"""One of the processes whose turns speed.py gives: it prepares operations, and times a burst of calls when it is told to.

Runs in a checkout, whose code it imports. A line of JSON in, ``[command, …]``; a line out, the answer or ``{"error": why}``:

* ``["list"]``: names of all operations there are.
* ``["prepare", name]``: seconds of a call.
* ``["time", name, calls]``: seconds of a call, the mean of so many, of an operation that is prepared.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.components import CannotMeasure, operations, prepare
from vqbench.catalog import Catalog, CatalogOptions

WARM_UP = 0.05
"""Seconds of calls before anything is timed; two calls at least."""


class Worker:
    """The operations of this checkout, some of them ready."""

    def __init__(self) -> None:
        self._catalog = Catalog.load(CatalogOptions())
        self._operations = {str(operation): operation for operation in operations(self._catalog)}
        self._calls: dict[str, Callable[[], object]] = {}

    def list(self) -> list[str]:
        return list(self._operations)

    def prepare(self, name: str) -> float:
        self._calls[name] = prepare(self._catalog, self._operations[name])
        taken = [self.time(name, 1), self.time(name, 1)]
        while sum(taken) < WARM_UP:
            taken.append(self.time(name, 1))
        return min(taken)

    def time(self, name: str, calls: int) -> float:
        """Of the process's own time: what others take from the processor is counted least there."""
        call = self._calls[name]
        if calls > 1:
            call()  # brings back to the caches what others have displaced
        start = time.process_time_ns()
        for _ in range(calls):
            call()
        return (time.process_time_ns() - start) / calls / 1e9


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a component prints is no answer
    torch.set_num_threads(1)
    gc.disable()
    worker = Worker()
    for line in sys.stdin:
        command, *arguments = json.loads(line)
        answer: Any
        try:
            answer = getattr(worker, command)(*arguments)
        except (CannotMeasure, KeyError) as error:
            answer = {"error": str(error)}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
