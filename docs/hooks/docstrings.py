"""Docstrings are written for ``help()``; for the site, their roles and literal blocks (reStructuredText) become Markdown."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator
from functools import partial
from typing import Any

import griffe

ROLE = re.compile(r":(?:class|func|meth|mod|data|attr):`(~?)\.?([\w.]+)`")
BLOCK = re.compile(r"^( *)(.*)::\n((?:\n|\1 .*\n)+)", re.MULTILINE)
FILE = re.compile(r"^# ([\w./-]+\.(\w+))\n", re.MULTILINE)


class RestDocstrings(griffe.Extension):
    """Rewrites the docstrings of a package once it is loaded."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        for thing in _things(pkg):
            if thing.docstring:
                text = BLOCK.sub(_fenced, thing.docstring.value + "\n")
                thing.docstring.value = ROLE.sub(partial(_link, thing), text).rstrip()


def _things(parent: griffe.Object) -> Iterator[griffe.Object]:
    yield parent
    for member in parent.members.values():
        if not isinstance(member, griffe.Alias):
            yield from _things(member)


def _link(thing: griffe.Object, role: re.Match[str]) -> str:
    """A link to what a role names, or its name alone where the site has no page about it."""
    short, name = role.groups()
    try:
        path = thing.modules_collection[thing.resolve(name)].canonical_path
    except (griffe.NameResolutionError, KeyError):
        path = name
    title = name.rpartition(".")[2] if short else name
    return f'<autoref identifier="{path}" optional><code>{title}</code></autoref>'


def _fenced(block: re.Match[str]) -> str:
    """A literal block as fenced ones: one for each file that a comment ``# path`` starts, or one in all."""
    indent, before, body = block.groups()
    start, *files = FILE.split(textwrap.dedent(body))
    fences = [f"```{_language(start)}\n{start.strip()}\n```\n"] if start.strip() else []
    for path, suffix, text in zip(files[::3], files[1::3], files[2::3], strict=True):
        fences.append(f'```{suffix} title="{path}"\n{text.strip()}\n```\n')
    return textwrap.indent((f"{before}:\n\n" if before else "") + "\n".join(fences), indent) + "\n"


def _language(text: str) -> str:
    if text.lstrip().startswith("["):
        return "toml"
    try:
        ast.parse(text)
    except SyntaxError:
        return "text"
    return "python"
