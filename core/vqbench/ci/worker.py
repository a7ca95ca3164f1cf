"""One of the processes whose turns ``turns`` gives: it prepares operations, and times a burst of calls when it is told to.

Run as a script, with the code of a checkout first on its path, vqbench's own perhaps: so nothing of vqbench.ci is imported by
name, and both sides run the same definitions. A line of JSON in, ``[command, …]``; a line out, what it returns or
``{"error": why}``.
"""

from __future__ import annotations

import gc
import importlib.util
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from vqbench.catalog import Catalog, CatalogOptions

__all__ = ["Worker", "main"]

WARM_UP = 0.05
"""Seconds of calls before anything is timed; two calls at least."""
MOST = 500


def definitions() -> Any:
    """The module ``components`` beside this file."""
    spec = importlib.util.spec_from_file_location("_timed_components", Path(__file__).with_name("components.py"))
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


class Worker:
    """The operations of this checkout's components, some of them ready."""

    def __init__(self, checkout: Path) -> None:
        self._definitions = definitions()
        self._catalog = Catalog.load(CatalogOptions.from_environment())
        self._operations = {
            str(operation): operation
            for operation in self._definitions.operations(self._catalog)
            if self._definitions.lies_in(checkout, self._catalog, operation)
        }
        self._calls: dict[str, Callable[[], object]] = {}

    def list(self) -> list[str]:
        """Names of all operations of components whose code lies in the checkout."""
        return list(self._operations)

    def prepare(self, name: str) -> float | dict[str, str]:
        """Seconds of a call, about; or why there can be none."""
        if name not in self._operations:
            return {"error": "there is no such component"}
        try:
            self._calls[name] = self._definitions.prepare(self._catalog, self._operations[name])
        except self._definitions.CannotMeasure as error:
            return {"error": _in_a_line(str(error))}
        except Exception as error:
            traceback.print_exc()
            return {"error": _in_a_line(f"{type(error).__name__}: {error}")}
        taken = [self.time(name, 1), self.time(name, 1)]
        while sum(taken) < WARM_UP:
            taken.append(self.time(name, 1))
        return min(taken)

    def time(self, name: str, calls: int) -> float:
        """Seconds of a call, the mean of so many, of an operation that is prepared.

        Of the process's own time: what others take from the processor is counted least there.
        """
        call = self._calls[name]
        if calls > 1:
            call()  # brings back to the caches what others have displaced
        start = time.process_time_ns()
        for _ in range(calls):
            call()
        return (time.process_time_ns() - start) / calls / 1e9


def _in_a_line(text: str) -> str:
    """A message without the traceback that may be inside."""
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()] or ["no reason"]
    return " … ".join(dict.fromkeys([lines[0], lines[-1]]))[:MOST]


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a component prints is no answer
    torch.set_num_threads(1)
    gc.disable()
    worker = Worker(Path.cwd())
    for line in sys.stdin:
        command, *arguments = json.loads(line)
        print(json.dumps(getattr(worker, command)(*arguments)), file=answers, flush=True)


if __name__ == "__main__":
    main()
