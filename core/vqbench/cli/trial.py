"""Each plugin loaded alone, in a process of its own: one that ends the process, or hangs in C code, is found out."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from vqbench.catalog import CatalogOptions
from vqbench.catalog.discovery import Candidate, discover
from vqbench.catalog.guard import PATIENCE, patience
from vqbench.catalog.loading import load_plugin, plugin_manager

__all__ = ["Casualty", "casualties", "load_alone"]

CODE = "import sys; from vqbench.cli.trial import load_alone; load_alone(sys.argv[1])"
SURVIVED = "survived"
SECONDS_TO_START = 30.0
"""What Python and vqbench may take on a busy machine, on top of what a plugin may."""


@dataclass(frozen=True, kw_only=True)
class Casualty:
    """A plugin that takes the process that loads it along; ``how`` says in what way."""

    plugin: str
    how: str


def casualties(options: CatalogOptions) -> Iterator[Casualty]:
    """The third-party plugins that must not be loaded here, since they would not let this process go on.

    One that only fails to load is none: that is caught.
    """
    candidates = discover(options).candidates
    started = [(candidate, _start(candidate, options)) for candidate in candidates if not candidate.builtin]
    limit = patience()
    until = None if limit is None else time.monotonic() + limit + SECONDS_TO_START
    for candidate, process in started:
        try:
            # a second at least: one that has ended meanwhile has its output still to be read
            output, _ = process.communicate(timeout=None if until is None else max(until - time.monotonic(), 1))
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            yield Casualty(plugin=candidate.name, how=f"loading it does not end, not even by force ({PATIENCE})")
        else:
            if SURVIVED not in output.splitlines():
                yield Casualty(plugin=candidate.name, how=f"loading it ends the process ({_end(process.returncode)})")


def load_alone(order: str) -> None:
    """Load one plugin here and say that this process is still there; ``order`` is its name and the options, as JSON."""
    name, options = json.loads(order)
    [candidate] = [c for c in discover(CatalogOptions(**options)).candidates if c.name == name]
    load_plugin(candidate, plugin_manager())
    print(SURVIVED)


def _start(candidate: Candidate, options: CatalogOptions) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", CODE, json.dumps([candidate.name, asdict(options)])],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        errors="replace",
    )


def _end(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {-code}"
