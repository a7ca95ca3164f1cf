"""Names of components: full ids, short names and who owns them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from vqbench.errors import UnknownComponentError
from vqbench.specs import AnySpec, ComponentSpec, PublishedSpec, SuiteSpec

__all__ = ["KINDS", "AnyEntry", "Entry", "Names", "PublishedEntry", "SuiteEntry"]

KINDS = ("quantizer", "backbone", "dataset", "metric", "suite", "publication")
"""The kinds of components, in the order they are listed."""


@dataclass(frozen=True, kw_only=True)
class _Registered:
    spec: AnySpec
    plugin: str
    distribution: str | None = None
    distribution_version: str | None = None
    builtin: bool = False

    @property
    def kind(self) -> str:
        """One of :data:`KINDS`."""
        return self.spec.kind

    @property
    def name(self) -> str:
        """The short name, which may be another component's too."""
        return self.spec.name

    @property
    def id(self) -> str:
        """The full id, ``plugin/name``, which always works."""
        return f"{self.plugin}/{self.name}"

    @property
    def owner(self) -> str:
        """Kind and full id, for messages: the id names the plugin."""
        return f"{self.kind} {self.id!r}"

    @property
    def source(self) -> str:
        """The plugin, with the distribution and version it comes from."""
        if self.distribution is None:
            return self.plugin
        prefix = "" if self.distribution == self.plugin else f"{self.plugin}: "
        return f"{prefix}{self.distribution} {self.distribution_version}"


@dataclass(frozen=True, kw_only=True)
class Entry(_Registered):
    """A registered quantizer, backbone, dataset or metric.

    ``plugin`` is the name of the plugin that announced it, ``distribution`` and ``distribution_version`` what that was
    installed from (None where it was not installed). ``builtin`` components own their short names.
    """

    spec: ComponentSpec


@dataclass(frozen=True, kw_only=True)
class SuiteEntry(_Registered):
    """A registered suite file; fields as of :class:`Entry`."""

    spec: SuiteSpec


@dataclass(frozen=True, kw_only=True)
class PublishedEntry(_Registered):
    """A registered file of published numbers; fields as of :class:`Entry`."""

    spec: PublishedSpec


AnyEntry: TypeAlias = Entry | SuiteEntry | PublishedEntry


class Names:
    """Which name means which component.

    A full id always means its component. A short name means the built-in one if there is one, else the only
    third-party one; one that several third parties share means nothing.
    """

    def __init__(self, entries: Iterable[AnyEntry]) -> None:
        self.entries = tuple(sorted(entries, key=lambda e: (KINDS.index(e.kind), e.name, not e.builtin, e.plugin)))
        self._full = {(e.kind, e.id): e for e in self.entries}
        assert len(self._full) == len(self.entries), "a plugin announced two components of one kind and name"
        self._sharing: dict[tuple[str, str], list[AnyEntry]] = defaultdict(list)
        for entry in self.entries:
            self._sharing[entry.kind, entry.name].append(entry)

    def find(self, kind: str, name: str) -> AnyEntry | None:
        """The component of a short name or full id, or None.

        Raises:
            UnknownComponentError: several third parties share the short name.
        """
        if "/" in name:
            return self._full.get((kind, name))
        sharing = self._sharing.get((kind, name), [])
        if sharing and (len(sharing) == 1 or sharing[0].builtin):  # built-in ones sort first
            return sharing[0]
        if sharing:
            ids = [e.id for e in sharing]
            raise UnknownComponentError(
                f"{kind} {name!r} is ambiguous: {len(ids)} plugins have one",
                expected="one of the full ids " + ", ".join(map(repr, ids)),
            )
        return None

    def short(self, entry: AnyEntry) -> str:
        """The shortest name that means this component: its short name if it owns it, else its full id."""
        sharing = self._sharing[entry.kind, entry.name]
        return entry.name if len(sharing) == 1 or entry.builtin else entry.id

    def known(self, kind: str | None = None) -> list[str]:
        """Every name that could have been meant, of one kind or any: short names and full ids."""
        entries = [e for e in self.entries if kind in (None, e.kind)]
        return list(dict.fromkeys([e.name for e in entries] + [e.id for e in entries]))

    def notes(self) -> list[str]:
        """Short names that more than one plugin uses."""
        notes = []
        for (kind, name), sharing in self._sharing.items():
            ids = [e.id for e in sharing]
            if sharing[0].builtin and len(ids) > 1:
                notes.append(
                    f"{kind} {name!r} is the built-in one; that of another plugin is called {', '.join(ids[1:])}"
                )
            elif len(ids) > 1:
                notes.append(f"{kind} {name!r} is ambiguous: use {' or '.join(ids)}")
        return notes
