"""Finds the suite a user names."""

from __future__ import annotations

from pathlib import Path

from vqbench.catalog import Catalog
from vqbench.errors import SuiteError

__all__ = ["locate_suite"]


def locate_suite(name: str, catalog: Catalog) -> Path:
    """The file of a suite: a path (it ends in ``.toml`` or holds a ``/``), else a name that a plugin registered.

    Raises:
        SuiteError: there is no such file.
        UnknownComponentError: there is no suite of that name.
    """
    if name.endswith(".toml") or "/" in name:
        path = Path(name)
        if not path.is_file():
            raise SuiteError(f"There is no suite file {name}", hint="`vqbench list suites` shows the bundled suites.")
        return path
    return catalog.suite(name).spec.path
