"""What became of each plugin: loaded, failed or switched off."""

from __future__ import annotations

import importlib
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import pluggy

from vqbench.errors import PluginError

__all__ = ["DisabledPlugin", "LoadedPlugin", "PluginFailure", "Stage", "describe", "plugin_traceback"]

Stage: TypeAlias = Literal["name", "import", "api", "register", "hook", "component"]
"""Where a plugin failed: its name is taken or invalid; its module did not import; it wants a newer vqbench; its hooks
are not hooks; a hook raised or returned nonsense; a component it announced is malformed."""

MAX_MESSAGE = 2_000
MAX_TRACEBACK = 20_000
MACHINERY = {Path(__file__).parent, *(Path(m.__file__).parent for m in (importlib, pluggy) if m.__file__)}


@dataclass(frozen=True, kw_only=True)
class LoadedPlugin:
    """A plugin that loaded.

    Attributes:
        name: entry-point name; the first half of its components' full ids.
        distribution: what it was installed from, with ``version``; None where it was not installed.
        origin: the module (``package.module``) or file.
        components: how many components it announced.
        builtin: whether it is vqbench's own.
    """

    name: str
    distribution: str | None
    version: str | None
    origin: str
    components: int
    builtin: bool = False


@dataclass(frozen=True, kw_only=True)
class DisabledPlugin:
    """A plugin that was found and not loaded, with the reason."""

    name: str
    distribution: str | None
    version: str | None
    origin: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class PluginFailure:
    """A plugin that could not be loaded; none of its components is registered.

    ``traceback`` is the plugin's own part of it, empty where vqbench refused the plugin and nothing was raised in it.
    """

    plugin: str
    distribution: str | None
    version: str | None
    stage: Stage
    message: str
    traceback: str = ""
    builtin: bool = False

    @property
    def owner(self) -> str:
        """The plugin with its distribution, for messages."""
        if self.distribution is None:
            return f"plugin {self.plugin!r}"
        return f"plugin {self.plugin!r} ({self.distribution} {self.version})"

    def error(self, what: str | None = None) -> PluginError:
        """The failure as an error, with its traceback in the message; ``what`` says what it prevents."""
        message = f"{self.owner} failed at stage {self.stage}: {self.message}"
        if what:
            message = f"{what}: {message}"
        return PluginError(message + (f"\n\n{self.traceback.rstrip()}" if self.traceback else ""))


def describe(error: BaseException) -> str:
    """The type and message of an exception, even of one that cannot print itself."""
    try:
        text = str(error)
    except Exception:
        text = "(its message cannot be printed)"
    if isinstance(error, PluginError):
        return text[:MAX_MESSAGE]
    return f"{type(error).__name__}: {text}"[:MAX_MESSAGE] if text else type(error).__name__


def plugin_traceback(error: BaseException) -> str:
    """The traceback of an exception without the frames of the catalog, importlib and pluggy that lead to the plugin.

    Empty for an error that vqbench itself raised about the plugin.
    """
    details = traceback.TracebackException.from_exception(error)
    frames = list(details.stack)
    while frames and _is_machinery(frames[0].filename):
        frames.pop(0)
    if not frames and isinstance(error, PluginError):
        return ""
    details.stack = traceback.StackSummary.from_list(frames)
    try:
        text = "".join(details.format())
    except Exception:  # an exception whose message cannot be printed
        text = "".join(details.stack.format())
    return text if len(text) <= MAX_TRACEBACK else text[:MAX_TRACEBACK] + "\n[…]\n"


def _is_machinery(filename: str) -> bool:
    return filename.startswith("<frozen importlib") or not MACHINERY.isdisjoint(Path(filename).parents)
