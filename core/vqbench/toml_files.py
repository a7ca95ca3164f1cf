"""TOML files that users write: read with a bound on their size, and explained where they do not fit their model."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from vqbench.bounded import read_bounded
from vqbench.errors import VQBenchError, closest

__all__ = ["explain_mistake", "read_toml"]

MAX_BYTES = 1 << 20
E = TypeVar("E", bound=VQBenchError)


def read_toml(path: Path, what: str, kind: type[VQBenchError]) -> dict[str, Any]:
    """The document in a file of at most 1 MiB; ``what`` begins the messages, "Suite file" say.

    Raises:
        VQBenchError: of ``kind``: the file is missing, too large, not UTF-8 or not TOML.
    """
    raw = read_bounded(path, what, MAX_BYTES, kind)
    try:
        return tomllib.loads(raw.decode())
    except UnicodeDecodeError as error:
        raise kind(f"{what} {path} is not UTF-8 text", got=f"byte {error.start}") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise kind(f"{what} {path} is not valid TOML", got=error or "too deep a nesting") from error


def explain_mistake(
    error: ValidationError,
    source: str,
    model: type[BaseModel],
    kind: type[E],
    *,
    whole: str,
    see: str,
    prefix: str = "",
) -> E:
    """The first thing that is wrong with a document, as one message that names its key, what was got and expected.

    Args:
        error: what the model said.
        source: the file, for people.
        model: what the document should be.
        kind: of error to make.
        whole: what to call the document where it is wrong as a whole, "the suite" say.
        see: where the keys are documented.
        prefix: the key that the document is the value of, if it is a part of another.
    """
    problems = error.errors(include_url=False)
    first = problems[0]
    key = prefix + _key(first["loc"], dotted=bool(prefix))
    more = f" ({len(problems) - 1} more after this one)" if len(problems) > 1 else ""
    if first["type"] == "extra_forbidden":
        known = _fields(model, first["loc"][:-1])
        hint = closest(str(first["loc"][-1]), known)
        return kind(f"{source}: unknown key {key!r}{more}", expected="one of " + ", ".join(sorted(known)), hint=hint)
    if first["type"] == "missing":
        return kind(f"{source}: key {key!r} is missing{more}", hint=f"Add it; see {see}")
    message = first["msg"].removeprefix("Value error, ")
    expected = message[0].lower() + message[1:]
    got = first["input"] if not isinstance(first["input"], dict | list | BaseModel) else None
    return kind(
        f"{source}: wrong value of {key or whole!r}{more}",
        got=None if got is None else f"{got!r}"[:200],
        expected=expected.removeprefix("input should be "),
    )


def _key(location: tuple[int | str, ...], *, dotted: bool = False) -> str:
    text = "." if dotted and location else ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part not in {"bool", "int", "constrained-int"}:
            text += ("." if text and not text.endswith(".") else "") + str(part)
    return text


def _fields(model: type[BaseModel], location: tuple[int | str, ...]) -> set[str]:
    """Names that are legal at a location of a model."""
    for part in location:
        if isinstance(part, int):
            continue
        info = next((f for n, f in model.model_fields.items() if part in (n, f.alias)), None)
        inner = _model_in(info.annotation) if info else None
        if inner is None:
            return set()
        model = inner
    return {info.alias or name for name, info in model.model_fields.items()}


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((m for a in getattr(annotation, "__args__", ()) if (m := _model_in(a))), None)
