"""Downloads a file of known size and hash; what an interrupted download got is used by the next."""

from __future__ import annotations

import contextlib
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from vqbench.assets.asset import Download
from vqbench.assets.files import file_sha256
from vqbench.errors import DataError, UnavailableError

__all__ = ["download"]

TRIES = 3
TIMEOUT = 30.0
BLOCK = 1 << 20


def download(part: Download, target: Path, report: Callable[[int, int], None]) -> None:
    """Download to ``target``. Until it is whole and verified it lies beside it as ``….part``.

    Args:
        part: what; no byte more than its size is written.
        target: the file to make; its folder exists.
        report: called with (bytes here, bytes in all).

    Raises:
        UnavailableError: the server cannot be reached, or stopped early; what came is kept, and used next time.
        DataError: what came has another size or hash; it is removed.
        OSError: the disk is full.
    """
    partial = target.with_name(f"{target.name}.part")
    for _ in range(TRIES):
        before = _size(partial)
        if before >= part.size:
            break
        try:
            _receive(part, partial, report)
        except _NetworkError as error:
            if _size(partial) == before:
                raise UnavailableError(
                    f"{part.url} cannot be downloaded", got=str(error), hint="Check the network, then run it again."
                ) from error
    here = _size(partial)
    if here < part.size:
        raise UnavailableError(
            f"The download of {part.url} stopped early",
            got=f"{here} of {part.size} bytes",
            hint="Run it again: it continues where it stopped.",
        )
    sha256 = file_sha256(partial)
    if here != part.size or sha256 != part.sha256:
        partial.unlink()
        raise DataError(
            f"{part.url} is not the file that is known",
            got=f"{here} bytes, sha256 {sha256}",
            expected=f"{part.size} bytes, sha256 {part.sha256}",
            hint="A proxy may have answered instead of the server. Run it again to download it anew.",
        )
    os.replace(partial, target)


class _NetworkError(Exception):
    """The connection failed, or never came about."""


def _receive(part: Download, partial: Path, report: Callable[[int, int], None]) -> None:
    """Append what the server sends, or start anew where it does not continue."""
    here = _size(partial)
    with contextlib.closing(_request(part, here)) as answer:
        if answer.status != http.client.PARTIAL_CONTENT:
            here = 0
        with partial.open("ab" if here else "wb") as file:
            report(here, part.size)
            while here < part.size and (block := _read(answer, min(BLOCK, part.size - here))):
                file.write(block)
                here += len(block)
                report(here, part.size)


def _request(part: Download, start: int) -> http.client.HTTPResponse:
    if not part.url.startswith(("https://", "http://")):
        raise ValueError(f"not an address of the web: {part.url}")
    headers = {"User-Agent": "vqbench", "Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    try:
        answer: http.client.HTTPResponse = urllib.request.urlopen(
            urllib.request.Request(part.url, headers=headers), timeout=TIMEOUT
        )
    except urllib.error.HTTPError as error:
        error.close()
        raise _NetworkError(error) from error
    except (OSError, http.client.HTTPException) as error:
        raise _NetworkError(getattr(error, "reason", error)) from error
    return answer


def _read(answer: http.client.HTTPResponse, size: int) -> bytes:
    try:
        return answer.read(size)
    except http.client.IncompleteRead as error:
        return error.partial
    except (OSError, http.client.HTTPException) as error:
        raise _NetworkError(error) from error


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
