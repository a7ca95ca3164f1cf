"""Which files of a folder are its training and test images; light, so that planning needs neither torch nor Pillow."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vqbench.errors import DataError, UnavailableError
from vqbench.seeds import derive_seed
from vqbench.specs import Parameters

__all__ = [
    "EXTENSIONS",
    "ImageFiles",
    "choose",
    "fingerprint",
    "folder_revision",
    "image_folder",
    "list_images",
    "quoted",
    "walk_images",
]

EXTENSIONS = frozenset((".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".gif"))
"""Endings of image files, in any case."""

_NAMED = 100  # a note names at most so many files, then counts
_HEAD = _TAIL = 2**15


@dataclass(frozen=True, kw_only=True)
class ImageFiles:
    """Image files of two splits, as sorted POSIX paths relative to the split's root, and what was passed over on the way."""

    train_root: Path
    test_root: Path
    train: tuple[str, ...]
    test: tuple[str, ...]
    notes: tuple[str, ...]

    def root(self, split: Literal["train", "test"]) -> Path:
        """The folder that a split's files lie below."""
        return self.train_root if split == "train" else self.test_root

    def names(self, split: Literal["train", "test"]) -> tuple[str, ...]:
        """A split's files."""
        return self.train if split == "train" else self.test


def list_images(
    root: str, *, seed: int = 0, test_fraction: float = 0.1, train_images: int = 0, test_images: int = 0
) -> ImageFiles:
    """The images of a folder.

    With a folder ``train`` and a folder ``test`` (or else ``val``) in it, those are the splits. Otherwise each file
    belongs to the test split where a hash of the seed and its relative path says so: adding files never moves others.
    ``train_images`` and ``test_images`` (0: no limit) keep those with the smallest hashes. Links to folders, links
    that leave the root, and anything but regular files are not followed.

    Raises:
        UnavailableError: no root is given, or it is not a folder.
        DataError: a split has no files.
    """
    base = image_folder(root, dataset="folder")
    files, notes = walk_images(base)
    held_out = next((name for name in ("test", "val") if (base / name).is_dir()), None)
    if (base / "train").is_dir() and held_out:
        for name in ("train", held_out):
            if (base / name).is_symlink():
                raise DataError(
                    f"the split folder {name!r} is a symbolic link, which is not followed",
                    hint="Put the images themselves below the root.",
                )
        train = [name for name in files if name.startswith("train/")]
        test = [name for name in files if name.startswith(f"{held_out}/")]
        if others := len(files) - len(train) - len(test):
            notes.append(f"image files outside train/ and {held_out}/ that were left out: {others}")
    else:
        in_test = {name for name in files if derive_seed(seed, "folder split", name) < test_fraction * 2**63}
        train, test = [name for name in files if name not in in_test], sorted(in_test)
    for split, names in (("training", train), ("test", test)):
        if not names:
            raise DataError(
                f"the folder has no {split} images",
                got=f"{len(files)} image files in {str(base)!r}",
                expected=f"train/ and test/ (or val/), or enough files to split, of {' '.join(sorted(EXTENSIONS))}",
            )
    return ImageFiles(
        train_root=base,
        test_root=base,
        train=choose(train, train_images, seed),
        test=choose(test, test_images, seed),
        notes=tuple(notes),
    )


def image_folder(root: str, *, dataset: str, parameter: str = "root") -> Path:
    """The folder that a parameter of a dataset names, without links.

    Raises:
        UnavailableError: none is given, or it is not a folder.
    """
    hint = f"Give the folder of images: --set data.params.{parameter}=FOLDER"
    if not root:
        raise UnavailableError(f"the dataset {dataset!r} does not know which folder (its {parameter})", hint=hint)
    base = Path(root).expanduser().resolve()
    if not base.is_dir():
        raise UnavailableError(f"the {parameter} of the dataset {dataset!r} is not a folder", got=repr(root), hint=hint)
    return base


def walk_images(base: Path) -> tuple[list[str], list[str]]:
    """Sorted relative POSIX paths of the image files below a folder, and a note on each kind of thing passed over.

    Links to folders, links that leave the folder, and anything but regular files are not followed.
    """
    passed_over: dict[str, list[str]] = {}
    files = sorted(_walk(base, passed_over))
    return files, [f"{what}: {quoted(sorted(names))}" for what, names in sorted(passed_over.items())]


def _walk(base: Path, passed_over: dict[str, list[str]]) -> Iterator[str]:
    """Relative POSIX paths of the image files; everything else goes to ``passed_over``, by reason."""

    def pass_over(why: str, path: str) -> None:
        passed_over.setdefault(why, []).append(Path(path).relative_to(base).as_posix())

    def unreadable(error: OSError) -> None:
        pass_over("folders that cannot be read", error.filename)

    top = str(base)
    for folder, subfolders, names in os.walk(base, followlinks=False, onerror=unreadable):
        for name in subfolders:
            if os.path.islink(os.path.join(folder, name)):
                pass_over("links to folders that were not followed", os.path.join(folder, name))
        for name in names:
            path = os.path.join(folder, name)
            if os.path.splitext(name)[1].lower() not in EXTENSIONS:
                continue
            if not _is_utf8(path):
                pass_over("file names that are not UTF-8", path)
            elif os.path.islink(path) and not Path(path).resolve().is_relative_to(base):
                pass_over("links out of the folder that were not followed", path)
            elif not _is_regular(path):  # a pipe named x.png would block a reader for ever
                pass_over("not regular files", path)
            else:
                yield path[len(top) :].lstrip(os.sep).replace(os.sep, "/")


def _is_utf8(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_regular(path: str) -> bool:
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return False


def choose(names: Sequence[str], limit: int, seed: int = 0) -> tuple[str, ...]:
    """The ``limit`` names with the smallest hashes of seed and name, in order; all for a limit of 0.

    A larger limit only adds to what a smaller one chooses.
    """
    if limit and limit < len(names):
        names = sorted(sorted(names, key=lambda name: derive_seed(seed, "folder choice", name))[:limit])
    return tuple(names)


def quoted(names: Sequence[str]) -> str:
    """``3 ('a.png', 'b.png', 'c.png')``: the number and the names, of a long list the first hundred."""
    listed = ", ".join(ascii(name) for name in names[:_NAMED])
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{len(names)} ({listed}{more})"


def fingerprint(path: Path) -> str:
    """SHA-256 of a file's size, first 32 KiB and last 32 KiB: of files up to 64 KiB it covers every byte.

    A change in the middle of a larger file that keeps its size goes unnoticed; reading whole image collections every
    time a run is planned would cost minutes.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            digest = hashlib.sha256(f"{size}\0".encode() + file.read(_HEAD))
            file.seek(max(size - _TAIL, min(_HEAD, size)))
            digest.update(file.read(_TAIL))
    except OSError as error:
        raise DataError(f"the file {path.name!a} cannot be read", got=error) from error
    return digest.hexdigest()


def folder_revision(parameters: Parameters) -> str:
    """A digest of the relative paths and :func:`fingerprint` of the images that the parameters choose.

    It stays the same when the folder moves or its files are touched, and changes with a file's name, size, head or
    tail.

    Raises:
        UnavailableError: no root is given, or it is not a folder.
        DataError: a split has no files, or a file cannot be read.
    """
    choice = {key: value for key, value in parameters.items() if key != "interpolation"}
    files = list_images(choice.pop("root", ""), **choice)
    digest = hashlib.sha256()
    for split in ("train", "test"):
        for name in files.names(split):
            digest.update(f"{split}\0{name}\0{fingerprint(files.root(split) / name)}\n".encode())
    return digest.hexdigest()[:16]
