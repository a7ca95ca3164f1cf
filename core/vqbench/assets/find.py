"""Looks for assets on this machine; never on the network."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from vqbench.assets.asset import Asset, AssetFile, AssetFolder, Form, Located
from vqbench.assets.files import file_sha256, folder_sha256, listing_sha256
from vqbench.assets.folders import asset_folders
from vqbench.errors import DataError

__all__ = ["EXPLICIT", "Damaged", "find", "present", "search", "torch_hub_folder", "verify_form"]

EXPLICIT = "explicit path"
"""Provider of what lies in the folder of ``--assets`` or ``VQBENCH_ASSETS``."""

TORCH_HUB = "torch hub cache"


@dataclass(frozen=True, kw_only=True)
class Damaged:
    """A file under an asset's name that is not it."""

    path: Path
    got: str
    expected: str

    def error(self, asset: Asset) -> DataError:
        """What a user is told of it."""
        explicit = _explicit_folder()
        there = f" --assets {explicit}" if explicit and self.path.is_relative_to(explicit) else ""
        return DataError(
            f"{self.path} is damaged or another file than {asset.name}",
            got=self.got,
            expected=self.expected,
            hint=f"Run `{asset.command}{there}` to replace it, or remove it.",
        )


def find(asset: Asset) -> Located | None:
    """The asset where it is here, verified by hash: in the explicit folder, our cache, torch hub's cache; else None.

    Raises:
        DataError: the explicit folder has a file of that name that does not verify, or nothing else but such a file is here.
    """
    located, damaged = search(asset)
    if damaged and (located is None or located.provider != EXPLICIT):
        first, explicit = damaged[0], _explicit_folder()
        if located is None or (explicit and first.path.is_relative_to(explicit)):
            raise first.error(asset)
    return located


def _explicit_folder() -> Path | None:
    return dict(asset_folders()).get(EXPLICIT)


def present(asset: Asset) -> bool:
    """Whether files of the asset's names and sizes are here: no hashing, no certainty."""
    return any(
        all(_looks_right(folder / file.path, file) for file in form.files)
        for form in asset.forms
        for _, folder in _places(form)
    )


def search(asset: Asset) -> tuple[Located | None, list[Damaged]]:
    """The first place that has a whole, verified form, and the damaged files met on the way."""
    damaged: list[Damaged] = []
    places = dict.fromkeys(place for form in asset.forms for place in _places(form))
    for name, folder in places:
        for form in asset.forms:
            if (name, folder) not in _places(form) or not all((folder / file.path).exists() for file in form.files):
                continue
            found = verify_form(form, folder)
            if isinstance(found, Damaged):
                if name != TORCH_HUB:
                    damaged.append(found)
                continue
            path = folder / form.files[0].path if len(form.files) == 1 else folder
            return Located(path=path, provider=name, sha256=found, form=form), damaged
    return None, damaged


def verify_form(form: Form, folder: Path) -> str | Damaged:
    """The sha256 of a form that lies in ``folder``, or its first file that is not what it should be."""
    hashes = {}
    for file in form.files:
        found = _verify(file, folder / file.path)
        if isinstance(found, Damaged):
            return found
        hashes[file.path] = found
    return next(iter(hashes.values())) if len(hashes) == 1 else listing_sha256(hashes)


def _verify(file: AssetFile | AssetFolder, path: Path) -> str | Damaged:
    expected = f"sha256 {file.sha256}"
    try:
        if isinstance(file, AssetFolder):
            sha256 = folder_sha256(path)
            good = sha256 == file.sha256
        else:
            sha256 = file_sha256(path)
            good = sha256 == file.sha256 or (file.tensors is not None and _tensor_digest(path) == file.tensors)
    except OSError as error:
        return Damaged(path=path, got=f"it cannot be read ({error.strerror})", expected=expected)
    return sha256 if good else Damaged(path=path, got=f"sha256 {sha256}", expected=expected)


def _tensor_digest(path: Path) -> str | None:
    digest: str | None = import_module("vqbench.worker.weights.state_file").tensor_digest_of(path)  # imports torch
    return digest


def _looks_right(path: Path, file: AssetFile | AssetFolder) -> bool:
    try:
        if isinstance(file, AssetFolder):
            return sum(not entry.name.startswith(".") for entry in os.scandir(path)) == file.files
        return path.is_file() and (path.stat().st_size == file.size or file.tensors is not None)
    except OSError:
        return False


def _places(form: Form) -> list[tuple[str, Path]]:
    return [*asset_folders(), (TORCH_HUB, torch_hub_folder())] if form.torch_hub else asset_folders()


def torch_hub_folder() -> Path:
    """Where torch hub keeps checkpoints: below ``$TORCH_HOME``, else ``$XDG_CACHE_HOME/torch``, else ``~/.cache/torch``."""
    home = os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "torch"
    return Path(home).expanduser() / "hub" / "checkpoints"
