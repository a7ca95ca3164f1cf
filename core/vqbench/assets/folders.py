"""Where fetched files lie."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["ASSETS_VARIABLE", "CACHE_VARIABLE", "asset_folders", "cache_folder"]

ASSETS_VARIABLE = "VQBENCH_ASSETS"
"""Environment variable: a folder of assets that is looked into before the cache; ``--assets`` sets it for a command."""

CACHE_VARIABLE = "VQBENCH_CACHE"
"""Environment variable: the cache folder."""


def cache_folder() -> Path:
    """The user's cache: ``$VQBENCH_CACHE``, else ``$XDG_CACHE_HOME/vqbench``, else ``~/.cache/vqbench``; it may not exist."""
    if own := os.environ.get(CACHE_VARIABLE):
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "vqbench"


def asset_folders() -> list[tuple[str, Path]]:
    """The folders that assets are looked for in, in order, each with the name that a record gives it."""
    folders = [("cache", cache_folder() / "assets")]
    if explicit := os.environ.get(ASSETS_VARIABLE):
        folders.insert(0, ("explicit path", Path(explicit).expanduser()))
    return folders
