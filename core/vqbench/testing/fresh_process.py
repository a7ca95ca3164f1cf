"""What a catalog or a component gives in a process that knows nothing of this one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from typing import Any

from vqbench.catalog import CatalogOptions
from vqbench.testing.check import expect
from vqbench.testing.subject import Subject

__all__ = ["HEAVY", "IMPORTED", "catalog_elsewhere", "component_elsewhere"]

HEAVY = ("torch", "torchvision", "timm")
"""Packages that take seconds to import, and that planning and listing do without."""
IMPORTED = f"', '.join(module for module in {HEAVY!r} if module in sys.modules)"
"""An expression: those of them that are imported by now, as a text."""

SECONDS = 120.0
HASH_SEED = "20201120"
"""Of the new process, so that sets of texts have another order there."""

CATALOG = """
import json, os, sys
told = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # what plugins print is no answer
given = json.load(sys.stdin)
sys.path[:] = given["path"]
from vqbench.catalog import Catalog, CatalogOptions, Entry, resolve_parameters
catalog = Catalog.load(CatalogOptions(**given["options"]))
"""
COMPONENT = """
entry = catalog.find(given["name"])
parameters = resolve_parameters(entry.spec, given["parameters"]) if isinstance(entry, Entry) else {}
"""
ANSWER = """
json.dump(answer, told)
told.close()
"""


def catalog_elsewhere(options: CatalogOptions, code: str, **given: Any) -> Any:
    """What a new Python process with another hash seed answers, once it has loaded the same catalog.

    Args:
        options: of the catalog.
        code: sets ``answer`` to JSON values, from ``catalog`` and ``given``. Nothing heavy is imported unless it does that.
        given: JSON values.

    Raises:
        CheckFailure: the process ends without an answer.
    """
    done = subprocess.run(
        [sys.executable, "-c", CATALOG + code + ANSWER],
        input=json.dumps({"path": sys.path, "options": asdict(options)} | given),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        env=os.environ | {"PYTHONHASHSEED": HASH_SEED},
    )
    expect(done.returncode == 0, "a process of its own ends with an error", got=done.stderr.strip()[-1000:])
    return json.loads(done.stdout)


def component_elsewhere(subject: Subject, code: str) -> Any:
    """The same of one component: ``code`` finds its ``entry`` and complete ``parameters`` as well."""
    name = f"{subject.entry.kind}:{subject.entry.id}"
    return catalog_elsewhere(subject.catalog.options, COMPONENT + code, name=name, parameters=dict(subject.given))
