"""What a component gives in a process that knows nothing of this one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from typing import Any

from vqbench.testing.check import expect
from vqbench.testing.subject import Subject

__all__ = ["HEAVY", "in_a_fresh_process"]

HEAVY = ("torch", "torchvision", "timm")
"""Packages that take seconds to import, and that planning and listing do without."""
SECONDS = 120.0
HASH_SEED = "20201120"
"""Of the new process, so that the order of sets of texts is another there."""

PRELUDE = """
import json, os, sys
told = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # what plugins print is no answer
given = json.load(sys.stdin)
sys.path[:] = given["path"]
from vqbench.catalog import Catalog, CatalogOptions, Entry, resolve_parameters
catalog = Catalog.load(CatalogOptions(**given["options"]))
entry = catalog.find(given["name"])
parameters = resolve_parameters(entry.spec, given["given"]) if isinstance(entry, Entry) else {}
"""
POSTLUDE = """
json.dump(answer, told)
told.close()
"""


def in_a_fresh_process(subject: Subject, code: str) -> Any:
    """What a new Python process with another hash seed finds for the same component: JSON values.

    Args:
        subject: the component.
        code: sets ``answer``, from ``catalog``, ``entry`` and ``parameters``; torch is not imported unless it does that.

    Raises:
        CheckFailure: the process ends without an answer.
    """
    given = {
        "path": sys.path,
        "options": asdict(subject.catalog.options),
        "name": f"{subject.entry.kind}:{subject.entry.id}",
        "given": dict(subject.given),
    }
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + code + POSTLUDE],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        env=os.environ | {"PYTHONHASHSEED": HASH_SEED},
    )
    expect(done.returncode == 0, "a process of its own ends with an error", got=done.stderr.strip()[-1000:])
    return json.loads(done.stdout)
