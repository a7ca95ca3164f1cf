"""What became of each plugin: loaded, failed or switched off."""

from __future__ import annotations

import importlib
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import pluggy

from vqbench.errors import PluginError

__all__ = ["DisabledPlugin", "LoadedPlugin", "PluginFailure", "Stage", "plugin_traceback"]

Stage: TypeAlias = Literal["name", "import", "api", "register", "hook", "component"]
"""Where a plugin failed: its name is taken or invalid; its module did not import; it wants a newer vqbench; its hooks
are not hooks; a hook raised or returned nonsense; a component it announced is malformed. At any of them it may have taken
too long."""

MAX_TRACEBACK = 20_000
SLOW_SECONDS = 1.0
"""A plugin that takes longer is worth a note: `vqbench list` should answer in half a second."""
MACHINERY = {Path(__file__).parent, *(Path(m.__file__).parent for m in (importlib, pluggy) if m.__file__)}


@dataclass(frozen=True, kw_only=True)
class LoadedPlugin:
    """A plugin that loaded.

    Attributes:
        name: entry-point name; the first half of its components' full ids.
        distribution: what it was installed from, with ``version``; None where it was not installed.
        origin: the module (``package.module``) or file.
        components: how many components it announced.
        seconds: what loading it took.
        imported_torch: whether torch was first imported by it.
        builtin: whether it is vqbench's own.
    """

    name: str
    distribution: str | None
    version: str | None
    origin: str
    components: int
    seconds: float = 0.0
    imported_torch: bool = False
    builtin: bool = False

    @property
    def slowness(self) -> str | None:
        """What to tell whoever waits for it at every command, and how its author can mend that; None if it loads fast."""
        if self.builtin or self.seconds <= SLOW_SECONDS:
            return None
        cause = "it imports torch" if self.imported_torch else "its module is not light"
        return (
            f"plugin {self.name!r} took {self.seconds:.1f} s to load, as {cause}: "
            "what is heavy belongs in the modules of its targets, which are imported where they run"
        )


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


def plugin_traceback(error: BaseException) -> str:
    """The traceback of an exception without the frames of the catalog, importlib and pluggy around the plugin.

    Empty for an error that vqbench itself raised about the plugin.
    """
    details = traceback.TracebackException.from_exception(error)
    part: traceback.TracebackException | None = details
    while part is not None:
        part.stack = _without_machinery(part.stack)
        part = part.__cause__ or part.__context__
    if not details.stack and isinstance(error, PluginError):
        return ""
    try:
        text = "".join(details.format())
    except Exception:  # an exception whose message cannot be printed
        text = "".join(details.stack.format())
    return text if len(text) <= MAX_TRACEBACK else text[:MAX_TRACEBACK] + "\n[…]\n"


def _without_machinery(stack: traceback.StackSummary) -> traceback.StackSummary:
    frames = list(stack)
    while frames and _is_machinery(frames[0].filename):
        frames.pop(0)
    while frames and _is_machinery(frames[-1].filename):  # an import that failed, or the alarm that stopped it
        frames.pop()
    return traceback.StackSummary.from_list(frames)


def _is_machinery(filename: str) -> bool:
    return filename.startswith("<frozen importlib") or not MACHINERY.isdisjoint(Path(filename).parents)
