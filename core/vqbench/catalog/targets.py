"""From a descriptor's lazy target to the class, and what must be importable for it."""

from __future__ import annotations

import importlib
import importlib.util
import sys

from vqbench.catalog.contract import TARGET
from vqbench.catalog.guard import kept_alive, printing_to_stderr
from vqbench.catalog.naming import Entry
from vqbench.catalog.outcome import plugin_traceback
from vqbench.errors import PluginError, UnavailableError
from vqbench.plugin_code import describe, within
from vqbench.specs import AnySpec, ComponentSpec, Requirement

__all__ = ["load_target", "missing_requirements"]


def load_target(target: Entry | str) -> object:
    """Import what a component (or a target ``"package.module:Class"``) names.

    Raises:
        UnavailableError: one of the component's requirements is not installed.
        PluginError: the module does not import, or does not hold the class; the message has the plugin's traceback.
    """
    entry = target if isinstance(target, Entry) else None
    path = target.spec.target if isinstance(target, Entry) else target
    owner = entry.owner if entry else f"target {path!r}"
    if not isinstance(path, str) or not TARGET.fullmatch(path):
        raise PluginError(f"{owner} is malformed", got=repr(path), expected="package.module:Class")
    if entry and (missing := missing_requirements(entry.spec)):
        raise UnavailableError(
            f"{owner} needs {', '.join(r.module for r in missing)}, which is not installed",
            hint=" ".join(dict.fromkeys(r.install for r in missing)),
        )
    name, _, attributes = path.partition(":")
    try:
        with within(f"{owner}: import of {name}"), printing_to_stderr(), kept_alive():
            found: object = importlib.import_module(name)
            for attribute in attributes.split("."):
                found = getattr(found, attribute)
    except BaseException as error:  # SystemExit, too
        if type(error) is KeyboardInterrupt:
            raise
        raise PluginError(
            f"{owner} cannot be imported from {path}: {describe(error)}\n\n{plugin_traceback(error).rstrip()}"
        ) from error
    return found


def missing_requirements(spec: AnySpec) -> list[Requirement]:
    """The requirements of a component that are not importable here, found without importing any of them.

    A file (a suite, published numbers) has none of its own.
    """
    if not isinstance(spec, ComponentSpec):
        return []
    return [r for r in spec.requires if not _is_importable(r.module)]


def _is_importable(module: str) -> bool:
    if module in sys.modules:
        return sys.modules[module] is not None
    # importlib.util.find_spec("a.b") would import a; so ask the finders level by level
    name, search = "", None
    for part in module.split("."):
        name = f"{name}.{part}" if name else part
        try:
            spec = next((s for f in sys.meta_path if (s := f.find_spec(name, search)) is not None), None)
        except (ImportError, AttributeError, ValueError):
            return False
        if spec is None:
            return False
        search = list(spec.submodule_search_locations or ())
    return True
