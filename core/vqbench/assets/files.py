"""Hashes, temporary folders, and errors of the disk."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from vqbench.errors import UnavailableError

__all__ = [
    "DiskError",
    "disk_errors",
    "file_sha256",
    "folder_sha256",
    "listing_sha256",
    "locked",
    "move_into_place",
    "scratch",
]


class DiskError(UnavailableError):
    """A folder cannot take more files: whoever provides them."""


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def file_sha256(path: Path) -> str:
    """sha256 of a file's bytes.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_sha256(folder: Path) -> str:
    """sha256 of what ``LC_ALL=C sha256sum *`` prints in a folder.

    Raises:
        OSError: it cannot be read.
    """
    names = [entry.name for entry in os.scandir(folder) if entry.is_file() and not entry.name.startswith(".")]
    return listing_sha256({name: file_sha256(folder / name) for name in names})


def listing_sha256(hashes: dict[str, str]) -> str:
    """sha256 of the lines that ``sha256sum`` prints of files with these hashes, by name, sorted by name."""
    lines = "".join(f"{hashes[name]}  {name}\n" for name in sorted(hashes, key=os.fsencode))
    return hashlib.sha256(lines.encode()).hexdigest()


@contextlib.contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turn a full or read-only disk into a :class:`DiskError` that names the folder."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise DiskError(
                f"There is no space left for files in {folder}",
                got=error.strerror,
                hint="Free some, or name another folder with --assets DIR (or VQBENCH_CACHE), and run it again.",
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
            raise DiskError(
                f"Files cannot be written to {folder}",
                got=error.strerror,
                hint="Name another folder with --assets DIR (or VQBENCH_CACHE).",
            ) from error
        raise


@contextlib.contextmanager
def scratch(folder: Path, name: str) -> Iterator[Path]:
    """A new folder in ``folder``, so that what is made in it can be renamed into place; removed afterwards.

    What a killed process left of that name is removed, too: callers hold a lock.
    """
    folder.mkdir(parents=True, exist_ok=True)
    prefix = f".fetch-{name}-"
    for left in folder.glob(f"{prefix}*"):
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=folder) as path:
        yield Path(path).resolve()


def move_into_place(made: Path, target: Path) -> None:
    """Rename a finished file or folder of the same disk; what was there is replaced."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if made.is_dir() and target.exists():
        os.replace(target, made.with_name(f"{made.name}.old"))  # goes with the scratch folder
    os.replace(made, target)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file against other processes.

    Raises:
        UnavailableError: another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UnavailableError(
                "Another process is fetching assets", got=f"{path} is locked", hint="Wait for it, then run this again."
            ) from error
        yield
