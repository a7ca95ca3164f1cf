"""Loads one plugin: import, API version, registration, hooks, components; each step guarded."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from types import ModuleType

import pluggy

from vqbench import hookspecs
from vqbench.catalog.contract import HOOKS, check_component
from vqbench.catalog.discovery import Candidate
from vqbench.catalog.guard import kept_alive, patience, printing_to_stderr, stopped_after
from vqbench.catalog.naming import AnyEntry, Entry, PublishedEntry, SuiteEntry
from vqbench.catalog.outcome import PluginFailure, Stage, plugin_traceback
from vqbench.errors import PluginError, closest
from vqbench.hookspecs import API_VERSION, PROJECT
from vqbench.plugin_code import describe, within
from vqbench.specs import AnySpec, PublishedSpec, SuiteSpec

__all__ = ["load_plugin", "plugin_manager"]

MAX_COMPONENTS = 10_000


class _Failed(Exception):
    """A stage failed; carries what a :class:`PluginFailure` wants to know."""

    def __init__(self, stage: Stage, error: BaseException) -> None:
        super().__init__(stage)
        self.stage = stage
        self.message = describe(error)
        if isinstance(error, ImportError) and (error.name or "").partition(".")[0] == PROJECT:
            self.message += "; it may be written for another version of vqbench"
        self.traceback = plugin_traceback(error)


def plugin_manager() -> pluggy.PluginManager:
    """A manager that knows vqbench's hooks and no plugin."""
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hookspecs)
    return manager


def load_plugin(candidate: Candidate, manager: pluggy.PluginManager) -> list[AnyEntry] | PluginFailure:
    """Load a plugin into the manager and return what it announces, or why it cannot be loaded.

    After a failure nothing of it is left in the manager.
    """
    try:
        with printing_to_stderr(), kept_alive():
            return _load(candidate, manager)
    except _Failed as failed:
        if manager.has_plugin(candidate.name):
            manager.unregister(name=candidate.name)
        return PluginFailure(
            plugin=candidate.name,
            distribution=candidate.distribution,
            version=candidate.version,
            stage=failed.stage,
            message=failed.message,
            traceback=failed.traceback,
            builtin=candidate.builtin,
        )


@contextlib.contextmanager
def _stage(candidate: Candidate, seconds: float | None, stage: Stage) -> Iterator[None]:
    try:
        with within(f"plugin {candidate.name!r}: {stage}"), stopped_after(seconds):
            yield
    except BaseException as error:  # SystemExit, too: a plugin that exits must not take the command along
        if type(error) is KeyboardInterrupt:  # a subclass of it is the plugin's own
            raise
        raise _Failed(stage, error) from error


def _load(candidate: Candidate, manager: pluggy.PluginManager) -> list[AnyEntry]:
    stage = partial(_stage, candidate, patience())
    with stage("import"):
        plugin, module = candidate.load()
    with stage("api"):
        _check_api(plugin, module)
    with stage("register"):
        _register(candidate.name, plugin, manager)
    entries: list[AnyEntry] = []
    for hook in HOOKS:
        with stage("hook"):
            specs = _call(hook, plugin, manager)
        with stage("component"):
            for spec in specs:
                check_component(spec)
            _check_distinct(specs)
            entries += [_entry(candidate, spec) for spec in specs]
    return entries


def _check_api(plugin: object, module: ModuleType) -> None:
    version = getattr(plugin, "VQBENCH_API", getattr(module, "VQBENCH_API", 1))
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise PluginError("VQBENCH_API is malformed", got=repr(version), expected="an integer of at least 1")
    if version > API_VERSION:
        raise PluginError(
            "it is written for a newer vqbench",
            got=f"VQBENCH_API = {version}",
            expected=f"at most {API_VERSION}",
            hint="Upgrade vqbench, or install an older version of the plugin.",
        )


def _register(name: str, plugin: object, manager: pluggy.PluginManager) -> None:
    if plugin is None:
        raise PluginError("the entry point names None", expected="a module or an object with hooks")
    if other := manager.get_name(plugin):
        raise PluginError(f"it is loaded already, as {other!r}", hint="Name it once.")
    for attribute in dir(plugin):
        unmarked = attribute in HOOKS and manager.parse_hookimpl_opts(plugin, attribute) is None
        if unmarked and inspect.isroutine(getattr(plugin, attribute, None)):
            raise PluginError(f"{attribute} is not marked as a hook", hint="Decorate it with @vqbench.hookimpl.")
    manager.register(plugin, name)
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        unknown = [h.name for h in manager.get_hookcallers(plugin) or () if h.name not in HOOKS]
        raise PluginError(
            "it implements a hook that vqbench does not have",
            got=", ".join(unknown) or str(error),
            expected="some of " + ", ".join(HOOKS),
            hint=closest(unknown[0], HOOKS) if unknown else None,
        ) from None
    if not manager.get_hookcallers(plugin):
        raise PluginError("it implements no hook", expected="at least one of " + ", ".join(HOOKS))


def _call(hook: str, plugin: object, manager: pluggy.PluginManager) -> list[AnySpec]:
    """What one plugin's hook returns; an empty list where it does not implement the hook."""
    callers = {caller.name for caller in manager.get_hookcallers(plugin) or ()}
    if hook not in callers:
        return []
    others = [p for p in manager.get_plugins() if p is not plugin]
    results = manager.subset_hook_caller(hook, others)()
    kind = HOOKS[hook]
    # pluggy drops a None
    returned = results[0] if results else None
    if not isinstance(returned, Iterable) or isinstance(returned, str | bytes | dict):
        raise PluginError(
            f"{hook} returned something else than descriptors",
            got=type(returned).__name__,
            expected=f"an iterable of {kind.__name__}",
        )
    specs = list(islice(returned, MAX_COMPONENTS + 1))
    if len(specs) > MAX_COMPONENTS:
        raise PluginError(f"{hook} returned too many descriptors", expected=f"at most {MAX_COMPONENTS}")
    for spec in specs:
        if not isinstance(spec, kind):
            raise PluginError(
                f"{hook} returned something else than descriptors", got=type(spec).__name__, expected=kind.__name__
            )
    return specs


def _check_distinct(specs: Iterable[AnySpec]) -> None:
    seen: set[str] = set()
    for spec in specs:
        if spec.name in seen:
            raise PluginError(f"it has two {spec.kind}s called {spec.name!r}")
        seen.add(spec.name)


def _entry(candidate: Candidate, spec: AnySpec) -> AnyEntry:
    name, distribution, version = candidate.name, candidate.distribution, candidate.version
    builtin = candidate.builtin
    if isinstance(spec, SuiteSpec):
        return SuiteEntry(
            spec=spec, plugin=name, distribution=distribution, distribution_version=version, builtin=builtin
        )
    if isinstance(spec, PublishedSpec):
        return PublishedEntry(
            spec=spec, plugin=name, distribution=distribution, distribution_version=version, builtin=builtin
        )
    return Entry(spec=spec, plugin=name, distribution=distribution, distribution_version=version, builtin=builtin)
