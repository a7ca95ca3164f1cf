"""Which plugins to load."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

__all__ = ["CatalogOptions", "is_file"]

DISABLE_AUTOLOAD = "VQBENCH_DISABLE_PLUGIN_AUTOLOAD"
STRICT = "VQBENCH_STRICT_PLUGINS"


@dataclass(frozen=True, kw_only=True)
class CatalogOptions:
    """What to load into a catalog. Plain data: a worker process rebuilds the same catalog from it.

    Attributes:
        plugins: modules (``package.module``) or files (``path/plugin.py``) to load without installing. Files are made
            absolute, because a worker may run in another folder.
        disabled: entry points or distributions that are not loaded.
        autoload: load installed third-party plugins. The built-in components are loaded either way.
        strict: raise on the first plugin that fails, instead of keeping the failure.
    """

    plugins: tuple[str, ...] = ()
    disabled: tuple[str, ...] = ()
    autoload: bool = True
    strict: bool = False

    def __post_init__(self) -> None:
        # lists are what JSON makes of tuples
        paths = tuple(os.path.abspath(p) if is_file(p) else p for p in self.plugins)
        object.__setattr__(self, "plugins", paths)
        object.__setattr__(self, "disabled", tuple(self.disabled))

    @classmethod
    def from_environment(
        cls,
        *,
        plugins: Iterable[str] = (),
        disabled: Iterable[str] = (),
        environ: Mapping[str, str] | None = None,
    ) -> CatalogOptions:
        """The options of a command line, with those of the environment.

        ``VQBENCH_DISABLE_PLUGIN_AUTOLOAD`` and ``VQBENCH_STRICT_PLUGINS`` are off when unset, empty, ``0``, ``false``,
        ``no`` or ``off``, and on otherwise.
        """
        environ = os.environ if environ is None else environ
        return cls(
            plugins=tuple(plugins),
            disabled=tuple(disabled),
            autoload=not _is_on(environ.get(DISABLE_AUTOLOAD)),
            strict=_is_on(environ.get(STRICT)),
        )


def is_file(plugin: str) -> bool:
    """Whether ``--plugin`` was given a file rather than a module."""
    return plugin.endswith(".py") or "/" in plugin or os.sep in plugin


def _is_on(value: str | None) -> bool:
    return (value or "").strip().lower() not in ("", "0", "false", "no", "off")
