"""A git repository of a test's own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import own_pytest

__all__ = ["Repository"]


class Repository:
    """A repository in a folder, made where there is none.

    ``environment`` is for programs that run in it: this Python's first, and nothing of whoever runs the tests in git.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        self.environment = own_pytest.environment() | {"PATH": path, "GIT_CONFIG_GLOBAL": os.devnull}
        for who in ("AUTHOR", "COMMITTER"):
            self.environment |= {f"GIT_{who}_NAME": "test", f"GIT_{who}_EMAIL": "test@example.org"}
        self.git("init", "--quiet")

    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self.folder, env=self.environment, check=True, capture_output=True, text=True
        )
        return done.stdout

    def commit(self, files: dict[str, str] | None = None) -> None:
        """Write files and commit whatever differs, be it nothing."""
        for name, text in (files or {}).items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "x")
