"""``--set key.path=value``: changes to a suite from the command line."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

from vqbench.errors import UsageError

__all__ = ["apply_overrides", "parse_value"]


def apply_overrides(document: Mapping[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    """A suite document with ``key.path=value`` changes applied, left to right.

    A value is read as TOML (``300``, ``true``, ``[8, 5, 5, 5]``, ``"text"``) and, if it is none, as bare text. A path segment
    that meets a list names one entry by index, or by its ``label`` or ``name``; any other segment is applied to every entry:
    ``data.params.root=photos``, ``quantizers.fsq.params.levels=[8,5,5,5]``, ``recipe.steps=50``.

    Raises:
        UsageError: no ``=``, an empty path, or a path through a value that is not a table.
    """
    result = copy.deepcopy(dict(document))
    for text in overrides:
        path, equals, value = text.partition("=")
        keys = [key.strip() for key in path.split(".")]
        if not equals or not all(keys):
            raise UsageError("--set wants key.path=value", got=text, hint="For example: --set recipe.steps=50")
        _set(result, keys, parse_value(value), text)
    return result


def parse_value(text: str) -> Any:
    """A value in TOML, or else the text itself."""
    if "\n" in text:
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _set(node: Any, keys: list[str], value: Any, text: str) -> None:
    key, rest = keys[0], keys[1:]
    if isinstance(node, list):
        chosen = _entries(node, key)
        if chosen is None:  # not an entry: the key applies to all of them
            for entry in node:
                _set(entry, keys, value, text)
        elif rest:
            for entry in chosen:
                _set(entry, rest, value, text)
        else:
            raise UsageError("--set cannot replace a whole entry of a list", got=text)
    elif not isinstance(node, dict):
        raise UsageError("--set goes through a value that is not a table", got=text)
    elif rest:
        _set(node.setdefault(key, {}), rest, value, text)
    else:
        node[key] = value


def _entries(node: list[Any], key: str) -> list[Any] | None:
    if key.isdigit():
        return [node[int(key)]] if int(key) < len(node) else None
    named = [e for e in node if isinstance(e, dict) and key in (e.get("label"), e.get("name"))]
    return named or None
