"""All plugins and components of one run of the program."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable

from vqbench.catalog import targets
from vqbench.catalog.discovery import discover
from vqbench.catalog.loading import load_plugin, plugin_manager
from vqbench.catalog.naming import KINDS, AnyEntry, Entry, Names, PublishedEntry, SuiteEntry
from vqbench.catalog.options import CatalogOptions
from vqbench.catalog.outcome import DisabledPlugin, LoadedPlugin, PluginFailure
from vqbench.catalog.unknown import explain_unknown
from vqbench.errors import UnknownComponentError, UsageError, closest

__all__ = ["Catalog"]


class Catalog:
    """What is there: components by name, and what became of every plugin.

    Usually made by :meth:`load`; the constructor takes what loading found.

    Attributes:
        options: what it was loaded with; :meth:`load` of them gives an equal catalog in another process.
        plugins: plugins that loaded, in loading order.  failures: those that did not.  disabled: those switched off.
        notes: what a user should know of how loading went, e.g. that a plugin is slow.  name_notes: short names that more than
            one plugin uses.
    """

    def __init__(
        self,
        entries: Iterable[AnyEntry] = (),
        *,
        options: CatalogOptions | None = None,
        plugins: Iterable[LoadedPlugin] = (),
        failures: Iterable[PluginFailure] = (),
        disabled: Iterable[DisabledPlugin] = (),
        notes: Iterable[str] = (),
    ) -> None:
        self._names = Names(entries)
        self.options = options or CatalogOptions()
        self.plugins = tuple(plugins)
        self.failures = tuple(failures)
        self.disabled = tuple(disabled)
        self.notes = tuple(notes)
        self.name_notes = tuple(self._names.notes())

    @classmethod
    def load(cls, options: CatalogOptions | None = None) -> Catalog:
        """Find and load the plugins. One that fails costs only itself and is kept in ``failures``.

        Raises:
            PluginError: a plugin failed and the options are strict.
        """
        options = options or CatalogOptions()
        found = discover(options)
        manager = plugin_manager()
        entries: list[AnyEntry] = []
        plugins: list[LoadedPlugin] = []
        failures: list[PluginFailure] = []

        def keep(failure: PluginFailure) -> None:
            if options.strict:
                raise failure.error()
            failures.append(failure)

        for failure in found.failures:
            keep(failure)
        for candidate in found.candidates:
            had_torch, began = "torch" in sys.modules, time.perf_counter()
            outcome = load_plugin(candidate, manager)
            if isinstance(outcome, PluginFailure):
                keep(outcome)
                continue
            entries += outcome
            plugins.append(
                LoadedPlugin(
                    name=candidate.name,
                    distribution=candidate.distribution,
                    version=candidate.version,
                    origin=candidate.origin,
                    components=len(outcome),
                    seconds=time.perf_counter() - began,
                    imported_torch="torch" in sys.modules and not had_torch,
                    builtin=candidate.builtin,
                )
            )
        return cls(
            entries,
            options=options,
            plugins=plugins,
            failures=failures,
            disabled=found.disabled,
            notes=[*found.notes, *(note for plugin in plugins if (note := plugin.slowness))],
        )

    def get(self, kind: str, name: str) -> Entry:
        """The quantizer, backbone, dataset or metric of a short name or full id ``plugin/name``.

        Raises:
            UnknownComponentError: no such component, or several third parties share the short name.
            PluginError: the full id names a plugin that failed to load, or the built-in one failed and with it the
                owner of short names; the message has the traceback.
        """
        _check_kind(kind)
        entry = self._find(kind, name)
        if not isinstance(entry, Entry):
            raise UsageError(f"{name!r} is a {kind}, not a component with parameters")
        return entry

    def suite(self, name: str) -> SuiteEntry:
        """The suite of a short name or full id; raises as :meth:`get`."""
        entry = self._find("suite", name)
        assert isinstance(entry, SuiteEntry)
        return entry

    def publications(self) -> tuple[PublishedEntry, ...]:
        """All files of published numbers, sorted by name."""
        return tuple(e for e in self._names.entries if isinstance(e, PublishedEntry))

    def entries(self, kind: str | None = None) -> tuple[AnyEntry, ...]:
        """All components, or those of one kind, sorted by kind and name."""
        if kind is not None:
            _check_kind(kind)
        return tuple(e for e in self._names.entries if kind in (None, e.kind))

    def find(self, name: str) -> AnyEntry:
        """The component of any kind that a short name, a full id, or either of them after ``kind:`` means.

        Raises:
            UnknownComponentError: as of :meth:`get`, or components of several kinds have the name.
            PluginError: as of :meth:`get`.
        """
        kind, colon, rest = name.partition(":")
        if colon and kind.removesuffix("s") in KINDS:
            return self._find(kind.removesuffix("s"), rest)
        kinds = list(dict.fromkeys(e.kind for e in self._names.entries if name in (e.id, e.name)))
        if len(kinds) > 1:
            raise UnknownComponentError(
                f"{name!r} is a {' and a '.join(kinds)}", expected=" or ".join(f"{k}:{name}" for k in kinds)
            )
        return self._find(kinds[0] if kinds else None, name)

    def short_name(self, entry: AnyEntry) -> str:
        """The shortest name that means this component: its short name if it owns it, else its full id."""
        return self._names.short(entry)

    def load_target(self, target: Entry | str) -> object:
        """Import the class of a component; see :func:`vqbench.catalog.load_target`."""
        return targets.load_target(target)

    def _find(self, kind: str | None, name: str) -> AnyEntry:
        for failure in self.failures:
            # whose names they are is unknown then, and a third party's must not step in unnoticed
            if failure.builtin and "/" not in name:
                raise failure.error(f"{name!r} cannot be looked up without the built-in components")
        if kind is not None and (entry := self._names.find(kind, name)) is not None:
            return entry
        raise explain_unknown(
            kind, name, self._names, plugins=self.plugins, failures=self.failures, disabled=self.disabled
        )


def _check_kind(kind: str) -> None:
    if kind not in KINDS:
        raise UsageError(
            "there is no such kind of component",
            got=repr(kind),
            expected="one of " + ", ".join(KINDS),
            hint=closest(kind, KINDS),
        )
