"""Small assets, and how their files are made."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from vqbench.assets import Asset, AssetFile, Download, Form, Package, Provider


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def toy_file(path: str, data: bytes, **rest: str) -> AssetFile:
    return AssetFile(path=path, sha256=sha256(data), size=len(data), **rest)


def toy_download(url: str, data: bytes, **rest: bool) -> Download:
    return Download(url=url, sha256=sha256(data), size=len(data), **rest)


def toy_package(data: bytes, kind: str = "wheel", filename: str = "toy-1.0-py3-none-any.whl") -> Package:
    return Package(kind=kind, name="toy", version="1.0", filename=filename, sha256=sha256(data), size=len(data))  # type: ignore[arg-type]


def toy_asset(*forms: Form, name: str = "toy") -> Asset:
    return Asset(
        name=name,
        summary="a toy",
        licence="CC0-1.0",
        source="these tests",
        command=f"vqbench weights fetch {name}",
        forms=forms,
    )


def toy_provider(*parts: Download | Package, convert: str | None = None, name: str = "the toy shop") -> Provider:
    return Provider(name=name, parts=parts, convert=convert)


def reverse(parts: Sequence[Path], folder: Path) -> None:
    """A conversion: every part backwards, into one file and one that nobody asked for."""
    (folder / "toy.bin").write_bytes(b"".join(part.read_bytes()[::-1] for part in parts))
    (folder / "stray.txt").write_text("stray")
