"""A virtual environment that sees the packages of this one: what a test installs there stays there.

Nothing is downloaded: ``pip`` there knows no index, and builds with the packages that are here.
"""

from __future__ import annotations

import os
import subprocess
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

__all__ = ["FreshEnvironment", "fresh_environment"]

OFFLINE = {  # for pip, as environment variables, so that commands can stay what a user types
    "PIP_NO_INDEX": "1",
    "PIP_NO_BUILD_ISOLATION": "false",  # pip's way of saying --no-build-isolation
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
}
TOOLS = ("pip", "pytest", "vqbench")


@dataclass(frozen=True, kw_only=True)
class FreshEnvironment:
    """A virtual environment in a folder; ``environment`` are the variables of a shell that has it activated."""

    folder: Path
    environment: dict[str, str]

    def shell(self, command: str, cwd: Path, *, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        """Run a command as typed at a prompt in a folder; standard output and error come back as one text."""
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=cwd,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
        )


def fresh_environment(folder: Path) -> FreshEnvironment:
    """Make a virtual environment with ``python``, ``pip``, ``pytest`` and ``vqbench``."""
    venv.EnvBuilder(symlinks=True).create(folder)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}))
    here = {sysconfig.get_path(kind) for kind in ("purelib", "platlib")}
    lines = [
        f"import site; site.addsitedir({path!r})" for path in sorted(here)
    ]  # with its own .pth files, unlike a plain path
    (site / "packages_of_the_tests.pth").write_text("\n".join(lines) + "\n")
    programs = folder / "bin"
    for tool in TOOLS:
        script = programs / tool
        script.write_text(f'#!/bin/sh\nexec "{programs / "python"}" -m {tool} "$@"\n')
        script.chmod(0o755)
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("VQBENCH_", "PYTEST_", "PIP_")) or name == "VQBENCH_CACHE"
    }
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    return FreshEnvironment(
        folder=folder,
        environment=inherited
        | OFFLINE
        | {"VIRTUAL_ENV": str(folder), "PATH": path, "PYTHONIOENCODING": "utf-8", "COLUMNS": "120"},
    )
