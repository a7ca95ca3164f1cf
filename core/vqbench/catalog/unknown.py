"""Explains a name that means no component."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vqbench.catalog.naming import KINDS, Names
from vqbench.catalog.outcome import DisabledPlugin, LoadedPlugin, PluginFailure
from vqbench.errors import UnknownComponentError, VQBenchError, closest

__all__ = ["explain_unknown"]


def explain_unknown(
    kind: str | None,
    name: str,
    names: Names,
    *,
    plugins: Sequence[LoadedPlugin],
    failures: Sequence[PluginFailure],
    disabled: Sequence[DisabledPlugin],
) -> VQBenchError:
    """The error for a name that was not found, with the likeliest reason and the next step.

    A :class:`~vqbench.errors.PluginError` with the traceback where the plugin that the full id names failed to load;
    else an :class:`~vqbench.errors.UnknownComponentError`.
    """
    thing = kind or "component"
    plugin = name.partition("/")[0] if "/" in name else None
    loaded = plugin in {p.name for p in plugins}
    if plugin and not loaded:
        for failure in failures:
            if failure.plugin == plugin:
                return failure.error(f"{thing} {name!r} cannot be used")
        for off in disabled:
            if off.name == plugin:
                return UnknownComponentError(
                    f"{thing} {name!r} belongs to plugin {plugin!r}, which is switched off ({off.reason})"
                )
    hints = [closest(name, names.known(kind))]
    if elsewhere := [k for k in KINDS if kind and name in names.known(k)]:
        hints.append(f"There is a {' and a '.join(elsewhere)} of that name.")
    elif loaded:
        hints.append(f"Plugin {plugin!r} is installed and has no such {thing}.")
    elif plugin:
        where = "install its distribution (records of it name that), or give its file with --plugin"
        hints.insert(0, f"No plugin {plugin!r} is installed: {where}.")
    else:
        hints.append("Is the plugin installed?")
    if failures:
        hints.append(_failed(failures))
    return UnknownComponentError(f"there is no {thing} {name!r}", hint=" ".join(h for h in hints if h))


def _failed(failures: Iterable[PluginFailure]) -> str:
    failed = ", ".join(f.plugin for f in failures)
    return f"These plugins failed to load: {failed} (see `vqbench plugins`)."
