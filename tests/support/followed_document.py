"""Follows a document as a reader would: writes the files it shows, runs its commands, compares what they print.

Every fenced block means something:

* with ``title="PATH"``: the content of that file; in the language ``diff`` changes of it, separated by lines ``@@``, each of
  which must fit exactly one place;
* ``sh``: commands for the shell, which must succeed, or exit with N after a line ``<!-- exits with N -->``;
* ``text``: what the commands before it print. ``…`` stands for anything, in a word, as words or as lines; white space and
  the length of rules do not count, and numbers with a decimal point may be off by a fifth.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from fresh_environment import FreshEnvironment

__all__ = ["Block", "blocks_of", "follow", "says"]

BLOCK = re.compile(
    r'(?:^<!-- exits with (?P<code>\d+) -->\n+)?^```(?P<language>\w+)(?: title="(?P<path>[^"]+)")?\n(?P<body>.*?)^```$',
    re.MULTILINE | re.DOTALL,
)
DECIMAL = re.compile(r"\d+\.\d+")
TOLERANCE = 0.2
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced block: its language, the file it is about, its text, the exit code that is announced, and its line."""

    language: str
    path: str | None
    body: str
    code: int
    line: int


def blocks_of(document: str) -> list[Block]:
    """All fenced blocks of a Markdown text."""
    found = [
        Block(
            language=match["language"],
            path=match["path"],
            body=match["body"],
            code=int(match["code"] or 0),
            line=document.count("\n", 0, match.start("language")) + 1,
        )
        for match in BLOCK.finditer(document)
    ]
    assert 2 * len(found) == len(re.findall(r"^```", document, re.MULTILINE)), "a fence that is no block"
    return found


def follow(document: str, folder: Path, environment: FreshEnvironment) -> Path:
    """Do what the document says, starting in that folder; the folder where its shell ends up."""
    output = ""
    for block in blocks_of(document):
        where = f"line {block.line}: {block.body}"
        if block.path is not None and block.language == "diff":
            change(folder / block.path, block.body)
        elif block.path is not None:
            (folder / block.path).parent.mkdir(parents=True, exist_ok=True)
            (folder / block.path).write_text(block.body)
        elif block.language == "sh":
            stands = environment.folder / "stands"
            done = environment.shell(f"trap 'pwd > {shlex.quote(str(stands))}' EXIT\n{block.body}", folder)
            folder, output = Path(stands.read_text().strip()), done.stdout
            assert done.returncode == block.code, f"{where}exited with {done.returncode}:\n{output}"
        elif block.language == "text":
            assert says(output, block.body), f"{where}is not what was printed:\n{output}"
        else:
            raise AssertionError(f"{where}is neither a file, nor commands, nor their output")
    return folder


def change(path: Path, diff: str) -> None:
    """Change a file as a diff without line numbers says; the context of each part must fit exactly one place."""
    text = path.read_text()
    for part in re.split(r"^@@\n", diff, flags=re.MULTILINE):
        lines = part.splitlines(keepends=True)
        old, new = ("".join(line[1:] for line in lines if line[0] in (" ", sign)) for sign in "-+")
        assert text.count(old) == 1, f"{path.name} has {text.count(old)} places like\n{old}"
        text = text.replace(old, new)
    path.write_text(text)


def says(output: str, expected: str) -> bool:
    """Whether the output is what a ``text`` block says."""
    lines = [[line for line in text.splitlines() if line.strip()] for text in (expected, output)]
    return _match(*lines, lambda wanted, got: _match(wanted.split(), got.split(), _same_word))


def _match(expected: Sequence[T], got: Sequence[T], same: Callable[[T, T], bool]) -> bool:
    """Whether two sequences agree, where ``…`` in the expected one stands for any number of entries."""
    if not expected:
        return not got
    if isinstance(expected[0], str) and expected[0].strip() == "…":
        return any(_match(expected[1:], got[skipped:], same) for skipped in range(len(got) + 1))
    return bool(got) and same(expected[0], got[0]) and _match(expected[1:], got[1:], same)


def _same_word(expected: str, got: str) -> bool:
    if set(expected) == set(got) == {"-"}:
        return True
    if "…" in expected:
        return re.fullmatch(".*".join(map(re.escape, expected.split("…"))), got) is not None
    if DECIMAL.sub("#", expected) != DECIMAL.sub("#", got):
        return False
    pairs = zip(map(float, DECIMAL.findall(expected)), map(float, DECIMAL.findall(got)), strict=True)
    return all(abs(wanted - number) <= TOLERANCE * abs(wanted) for wanted, number in pairs)
