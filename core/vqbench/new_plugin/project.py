"""From the templates to a project.

The templates are a plugin's own files, as they are: what stands for a name (``my-plugin``, ``my_plugin``, ``my-component``,
``my_component``, ``MyComponent``) is replaced in their texts and paths. ``common`` is written for every kind, and the kind's
folder beside it.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from vqbench import __version__
from vqbench.errors import ResultsError, UsageError

__all__ = ["KINDS", "Names", "Project", "make_project", "write_project"]

KINDS = {
    "quantizer": ("quantizer.py", "ci/suite.toml"),
    "backbone": ("backbone.py", "ci/suite.toml"),
    "dataset": ("dataset.py", "ci/suite.toml"),
    "metric": ("metric.py", "ci/suite.toml"),
    "suite": ("my-component.toml", "my_plugin/ci.toml"),  # beside the suite that it stands on
}
"""Kinds of components that a project can start from, with the file that holds the component and the suite that CI runs."""

NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
MAX_NAME = 60
PREFIX = "vqbench-"


@dataclass(frozen=True)
class Names:
    """What a new plugin and its component are called.

    Attributes:
        plugin: of distribution and entry point, ``vqbench-rounding``.

    Raises:
        UsageError: it is no name for a distribution, or its package would hide a module that is there.
    """

    plugin: str

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.plugin) or len(self.plugin) > MAX_NAME:
            raise UsageError(
                "That is no name for a plugin",
                got=repr(self.plugin[: 2 * MAX_NAME]),
                expected=f"lower case letters and digits, in words joined by '-', at most {MAX_NAME} of them",
            )
        object.__setattr__(self, "plugin", self.plugin.replace("_", "-"))
        if self.package in sys.stdlib_module_names or importlib.util.find_spec(self.package) is not None:
            hint = f"For example: vqbench new-plugin {PREFIX}{self.plugin.removeprefix(PREFIX)}"
            raise UsageError(
                f"There is a Python module {self.package!r} already, which the plugin would hide", hint=hint
            )

    @property
    def package(self) -> str:
        """Of the Python package, ``vqbench_rounding``."""
        return self.plugin.replace("-", "_")

    @property
    def component(self) -> str:
        """Of the component: the plugin's without ``vqbench-``."""
        return self.plugin.removeprefix(PREFIX)

    @property
    def class_name(self) -> str:
        """Of the component's class, ``Rounding``."""
        return "".join(word.capitalize() for word in self.component.split("-"))


@dataclass(frozen=True, kw_only=True)
class Project:
    """A project with one component.

    Attributes:
        files: their texts, by path in the project's folder.
        suite: the path of the suite that CI runs.
    """

    files: dict[str, str]
    suite: str


def make_project(names: Names, kind: str) -> Project:
    """The project of a plugin with one component of a kind, one of :data:`KINDS`."""
    texts = {
        "KIND": kind,
        "VQBENCH_VERSION": __version__,
        "my-plugin": names.plugin,
        "my_plugin": names.package,
        "my-component": names.component,
        "my_component": names.component.replace("-", "_"),
        "MyComponent": names.class_name,
    }
    module, suite = (_replaced(text, texts) for text in KINDS[kind])
    texts |= {"MODULE": module, "CI_SUITE": suite}
    templates = resources.files("vqbench.new_plugin") / "templates"
    written = {path: text for part in ("common", kind) for path, text in _texts(templates / part).items()}
    return Project(files={_replaced(p, texts): _replaced(t, texts) for p, t in sorted(written.items())}, suite=suite)


def write_project(project: Project, folder: Path) -> None:
    """Write a project's files.

    Raises:
        ResultsError: there is something in the folder already, or it cannot be written.
    """
    try:
        if folder.exists() and any(folder.iterdir()):
            raise ResultsError(f"There is something in {folder} already", hint="Choose another folder: --out DIR.")
        for path, text in project.files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ResultsError(f"The project cannot be written to {folder}", got=error.strerror) from error


def _texts(folder: Traversable, prefix: str = "") -> dict[str, str]:
    """The text of every file in a folder, by its path there."""
    found: dict[str, str] = {}
    for entry in folder.iterdir():
        if entry.is_dir() and entry.name != "__pycache__":
            found |= _texts(entry, f"{prefix}{entry.name}/")
        elif entry.is_file():
            found[prefix + entry.name] = entry.read_text(encoding="utf-8")
    return found


def _replaced(text: str, texts: dict[str, str]) -> str:
    # one pass, longest first: a name that is put in is never looked at again
    placeholders = sorted(texts, key=len, reverse=True)
    return re.sub("|".join(map(re.escape, placeholders)), lambda match: texts[match[0]], text)
