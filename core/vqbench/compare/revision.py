"""A results folder as it is in a git revision: read out of git's objects, without a checkout."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vqbench.errors import ResultsError

__all__ = ["extract_revision"]

MOST_FILES = 100_000
MOST_BYTES = 1 << 30
SECONDS = 300
FOLDER = r"(?:[A-Za-z0-9_][^/\0\\]{0,199}/)?"
WANTED = re.compile(
    FOLDER + r"(?:[0-9a-f]{16}\.json|[0-9a-f]{16}\.benchmark\.json|values/[0-9a-f]{16}\.safetensors)", re.ASCII
)
RECORD = re.compile(r"[0-9a-f]{16}(\.benchmark)?\.json")
REGULAR = ("100644", "100755")


@dataclass(frozen=True)
class _Blob:
    name: str
    """Path in the results folder."""
    hash: str
    bytes: int


def extract_revision(text: str, target: Path, *, repository: Path | None = None) -> Path:
    """Write the records, benchmarks and values of ``REV:PATH`` into an empty folder.

    ``REV:PATH`` is what git calls it: a path from the repository's root, or from here if it begins with ``./``. Only regular
    files with the names that vqbench gives them are taken, so no link is followed and nothing lands elsewhere.

    Args:
        text: ``REV:PATH``; the path is that of a results folder, of one suite's folder or of one record.
        target: where to write.
        repository: a folder in the repository; by default the current one.

    Returns:
        What to read: ``target``, or the one record in it.

    Raises:
        ResultsError: git is not here, this is no repository, there is no such revision or path, or it is too large.
    """
    where = repository or Path.cwd()
    revision, _, path = text.partition(":")
    commit = _git(where, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}", about=text)
    if not commit:
        raise ResultsError(f"There is no git revision {revision!r}", hint="`git fetch` it, or see `git log`.")
    found = _git(where, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{commit}:{path}", about=text)
    if not found:
        raise ResultsError(
            f"Revision {revision!r} has no {path!r}", hint=f"`git ls-tree -r {revision}` lists its files."
        )
    if _git(where, "cat-file", "-t", found, about=text) == "blob":
        name = path.rpartition("/")[2]
        if not RECORD.fullmatch(name):
            raise ResultsError(f"{text} is no record", expected="a name of 16 hexadecimal digits and .json")
        size = int(_git(where, "cat-file", "-s", found, about=text))
        _write(where, [_Blob(name, found, size)], target, text)
        return target / name
    _write(where, list(_blobs(where, found, text)), target, text)
    return target


def _blobs(where: Path, tree: str, text: str) -> Iterator[_Blob]:
    for line in _git(where, "ls-tree", "-r", "-z", "-l", "--full-tree", tree, about=text).split("\0"):
        about, _, name = line.partition("\t")
        if not WANTED.fullmatch(name):
            continue
        mode, _, hash_, size = about.split()
        if mode in REGULAR:
            yield _Blob(name, hash_, int(size))


def _write(where: Path, blobs: Sequence[_Blob], target: Path, text: str) -> None:
    if len(blobs) > MOST_FILES or sum(blob.bytes for blob in blobs) > MOST_BYTES:
        raise ResultsError(f"{text} is too large", expected=f"at most {MOST_FILES} files and {MOST_BYTES >> 30} GiB")
    command = ["git", "cat-file", "--batch"]
    with subprocess.Popen(
        command, cwd=where, env=_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdin
        assert process.stdout
        for blob in blobs:
            process.stdin.write(f"{blob.hash}\n".encode())
            process.stdin.flush()
            header = process.stdout.readline()
            content = process.stdout.read(blob.bytes)
            if header.split()[1:] != [b"blob", str(blob.bytes).encode()] or process.stdout.read(1) != b"\n":
                raise ResultsError(f"git cannot read {blob.name} of {text}", hint="`git fsck` checks the repository.")
            path = target / blob.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def _git(where: Path, *arguments: str, about: str) -> str:
    """What git prints; nothing where it finds nothing."""
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=where, env=_environment(), capture_output=True, timeout=SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ResultsError(f"git cannot be run to read {about!r}", got=error) from error
    said = done.stderr.decode(errors="replace").strip()
    if done.returncode and said:
        raise ResultsError(
            f"git cannot read {about!r}",
            got=said.splitlines()[0],
            hint="Is there such a folder, or is this a git repository?",
        )
    return "" if done.returncode else done.stdout.decode(errors="surrogateescape").strip("\n")


def _environment() -> dict[str, str]:
    """git neither asks nor fetches."""
    return os.environ | {"GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
