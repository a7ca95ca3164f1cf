"""Finds the plugins: installed ones by their entry points, others as modules or files."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from types import ModuleType

from vqbench.catalog.options import CatalogOptions, is_file
from vqbench.catalog.outcome import DisabledPlugin, PluginFailure
from vqbench.errors import PluginError
from vqbench.hookspecs import PROJECT
from vqbench.plugin_code import describe

__all__ = ["Candidate", "Discovery", "discover"]

PLUGIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A plugin that was found and not yet imported.

    ``load`` returns the plugin object and the module it lives in. It raises whatever the plugin raises.
    """

    name: str
    distribution: str | None
    version: str | None
    origin: str
    load: Callable[[], tuple[object, ModuleType]]
    builtin: bool = False

    @property
    def owner(self) -> str:
        """Where it comes from, for messages."""
        return f"distribution {self.distribution}" if self.distribution else f"--plugin {self.origin}"


@dataclass(kw_only=True)
class Discovery:
    """What was found: ``candidates`` in loading order, the rest with reasons."""

    candidates: list[Candidate] = field(default_factory=list)
    disabled: list[DisabledPlugin] = field(default_factory=list)
    failures: list[PluginFailure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def discover(options: CatalogOptions) -> Discovery:
    """Find plugins: vqbench's own first, then installed ones by distribution and name, then those given one by one."""
    found = Discovery()
    installed = _installed(found.notes)
    if not any(c.builtin for c in installed):
        found.notes.append("vqbench itself is not installed, so there are no built-in components: pip install it")
    used: set[str] = set()
    taken: dict[str, Candidate] = {}
    for candidate in (*installed, *map(_given, options.plugins)):
        matches = {d for d in options.disabled if _matches(d, candidate)}
        used |= matches
        if matches:
            found.disabled.append(_off(candidate, f"--no-plugin {min(matches)}"))
        elif candidate.distribution and not candidate.builtin and not options.autoload:
            found.disabled.append(_off(candidate, "plugin autoload is switched off"))
        elif problem := _name_problem(candidate, taken):
            found.failures.append(
                PluginFailure(
                    plugin=candidate.name,
                    distribution=candidate.distribution,
                    version=candidate.version,
                    stage="name",
                    message=problem,
                )
            )
        else:
            taken[candidate.name] = candidate
            found.candidates.append(candidate)
    found.notes += [f"--no-plugin {name} matches no plugin" for name in options.disabled if name not in used]
    return found


def _installed(notes: list[str]) -> list[Candidate]:
    """Plugins of installed distributions. One unreadable distribution costs only itself."""
    names: dict[str, str] = {}
    for distribution in metadata.distributions():
        try:
            # most distributions declare nothing for us: their (long) metadata is never parsed
            if f"[{PROJECT}]" in (distribution.read_text("entry_points.txt") or ""):
                name = distribution.metadata["Name"]
                names.setdefault(_normalised(name), name)
        except Exception as error:
            where = getattr(distribution, "_path", "unknown")
            notes.append(f"an installed distribution is unreadable ({where}): {describe(error)}")
    candidates = []
    for name in names.values():
        try:
            # looked up by name: a distribution earlier on the path shadows a later one of that name, as on import
            distribution = metadata.distribution(name)
            points = [p for p in distribution.entry_points if p.group == PROJECT]
            candidates += [_entry_point(p, name, distribution.version) for p in points]
        except Exception as error:
            notes.append(f"the entry points of distribution {name} are unreadable: {describe(error)}")
    return sorted(candidates, key=lambda c: (not c.builtin, _normalised(c.distribution or ""), c.name))


def _entry_point(point: metadata.EntryPoint, distribution: str, version: str) -> Candidate:
    def load() -> tuple[object, ModuleType]:
        if point.pattern.match(point.value) is None:
            raise PluginError(
                "the entry point is malformed",
                got=repr(point.value),
                expected="package.module[:object]",
            )
        return point.load(), sys.modules[point.module]

    return Candidate(
        name=point.name,
        distribution=distribution,
        version=version,
        origin=point.value,
        load=load,
        builtin=_normalised(distribution) == PROJECT,
    )


def _given(plugin: str) -> Candidate:
    if not is_file(plugin):
        return Candidate(
            name=plugin, distribution=None, version=None, origin=plugin, load=lambda: _import_module(plugin)
        )
    path = Path(plugin)
    return Candidate(name=path.stem, distribution=None, version=None, origin=plugin, load=lambda: _import_file(path))


def _import_module(name: str) -> tuple[object, ModuleType]:
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # something it imports is missing
        raise PluginError(
            f"there is no module {name!r} on the import path",
            hint="Give the file (--plugin path/to/plugin.py), install it, or add its folder to PYTHONPATH.",
        ) from None
    return module, module


def _import_file(path: Path) -> tuple[object, ModuleType]:
    """Import a file as the module of its name, so that its targets ``"name:Class"`` can be found later."""
    name = path.stem
    if not path.is_file():
        raise PluginError(f"there is no plugin file {path}")
    if not name.isidentifier() or path.suffix != ".py":
        raise PluginError("a plugin file must be named like a module", got=path.name, expected="e.g. my_plugin.py")
    known = sys.modules.get(name)
    if known is not None and getattr(known, "__file__", None) == str(path):
        return known, known
    other = getattr(known, "__spec__", None) if known is not None else importlib.util.find_spec(name)
    if known is not None or (other is not None and other.origin != str(path)):
        where = getattr(other, "origin", None) or "built in"
        raise PluginError(f"{path} would hide another module of that name ({where})", hint="Rename the file.")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Its neighbours can be imported, as those of a script; at the end of the path, where they hide nothing.
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module, module


def _name_problem(candidate: Candidate, taken: dict[str, Candidate]) -> str | None:
    if not PLUGIN_NAME.fullmatch(candidate.name):
        return "a plugin's name holds letters, digits, '.', '_' and '-' only, since its components are called NAME/…"
    if other := taken.get(candidate.name):
        return (
            f"there are two plugins of this name: {other.owner} has it, so that of {candidate.owner} is not loaded. "
            "Switch one off with --no-plugin DISTRIBUTION"
        )
    return None


def _matches(disabled: str, candidate: Candidate) -> bool:
    if disabled == candidate.name:
        return True
    return candidate.distribution is not None and _normalised(disabled) == _normalised(candidate.distribution)


def _off(candidate: Candidate, reason: str) -> DisabledPlugin:
    return DisabledPlugin(
        name=candidate.name,
        distribution=candidate.distribution,
        version=candidate.version,
        origin=candidate.origin,
        reason=reason,
    )


def _normalised(distribution: str) -> str:
    """A distribution's name as installers compare them (PEP 503)."""
    return re.sub(r"[-_.]+", "-", distribution).lower()
