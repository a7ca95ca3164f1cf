"""Image files decoded once: their pixels lie in a file below the cache folder and are mapped from there.

``CACHE/decoded/<key>/`` holds ``pixels`` (the bytes of all images, ``(N, 3, H, W)``) and ``index.json`` (which could not be
read or had to be enlarged). The key says which files, of which size and time, were decoded how. A folder appears under its
name once it is whole. It is only made where it takes at most half of the free disk, and deleted when it was not used for
:data:`UNUSED_DAYS` days; without it images are kept in memory if they fit, or else decoded whenever they are asked for.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import PIL

from vqbench.assets import cache_folder
from vqbench.canonical import content_id
from vqbench.errors import DataError
from vqbench_plugins.datasets.decoding import DecodedImage, Interpolation, quiet_pillow, read_image
from vqbench_plugins.datasets.uint8_images import (
    CACHE_BYTES,
    THREADS,
    ArrayImages,
    MadeImages,
    MappedImages,
    Uint8Images,
)

__all__ = ["UNUSED_DAYS", "DecodedFiles", "decode_files", "decode_once"]

UNUSED_DAYS = 30
"""After so many days without use decoded images are deleted, the next time others are written."""

_Pixels = npt.NDArray[np.uint8]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class DecodedFiles:
    """Images in the order of their files, less those that could not be read.

    ``unreadable`` is ``name: reason`` of each of those; ``enlarged`` names those smaller than the image size.
    """

    images: Uint8Images
    names: Sequence[str]
    unreadable: Sequence[str]
    enlarged: Sequence[str]


@dataclass(kw_only=True)
class _Index:
    unreadable: dict[str, str] = field(default_factory=dict)
    enlarged: list[str] = field(default_factory=list)


def decode_files(root: Path, names: Sequence[str], image_size: int, interpolation: Interpolation) -> DecodedFiles:
    """Square RGB images (:mod:`~vqbench_plugins.datasets.decoding`) of files ``names`` below ``root``, decoded once."""
    states = [_state(root / name) for name in names]
    read = partial(_read, root, image_size, interpolation)
    return decode_once([str(root), interpolation, list(zip(names, states, strict=True))], names, image_size, read)


def decode_once(
    what: object, names: Sequence[str], image_size: int, read: Callable[[str], DecodedImage]
) -> DecodedFiles:
    """The images that ``read`` makes of ``names``.

    The first call reads all of them with several threads; later ones, in this process or another, find the result. Two
    processes that want the same images at a time decode them once.

    Args:
        what: JSON that says everything the images depend on but their size and Pillow's version.
        names: of the images.
        image_size: H = W in pixels.
        read: called from several threads, and pickled with the images if they can be kept nowhere. It raises DataError for
            those that cannot be read.
    """
    key = content_id([1, PIL.__version__, image_size, what], length=32)
    index, images = _find_or_decode(key, names, image_size, read)
    readable = [name for name in names if name not in index.unreadable]
    return DecodedFiles(
        images=images or MadeImages(len(readable), image_size, _Loader(read, readable)),
        names=readable,
        unreadable=[f"{name}: {reason}" for name, reason in index.unreadable.items()],
        enlarged=index.enlarged,
    )


def _find_or_decode(
    key: str, names: Sequence[str], image_size: int, read: Callable[[str], DecodedImage]
) -> tuple[_Index, Uint8Images | None]:
    """What is known of the files, and their images unless they neither lie on disk nor fit into memory."""
    folder = cache_folder() / "decoded" / key
    if found := _open(folder, names, image_size):
        return found
    try:
        with _locked(folder):
            if found := _open(folder, names, image_size):
                return found
            _write(folder, names, image_size, read)
            if found := _open(folder, names, image_size):
                return found
    except OSError as error:
        _log.warning("decoded images are not kept on disk: %s", error)
    index, rows = _Index(), list[_Pixels]()
    keep = len(names) * 3 * image_size**2 <= CACHE_BYTES
    for row in _decode(names, read, index):
        if keep:
            rows.append(row)
    return index, ArrayImages(np.stack(rows)) if rows else None


def _write(folder: Path, names: Sequence[str], image_size: int, read: Callable[[str], DecodedImage]) -> None:
    need, free = len(names) * 3 * image_size**2, shutil.disk_usage(folder.parent).free
    if 2 * need > free:
        raise OSError(f"they take {need / 1e9:.1f} GB, and {folder.parent} has {free / 1e9:.1f} GB free")
    _prune(folder.parent)
    made = folder.with_name(f".decoding-{folder.name}")
    shutil.rmtree(made, ignore_errors=True)  # of a process that was killed
    try:
        made.mkdir()
        _fill(made, names, read)
        if folder.exists():
            shutil.rmtree(folder)  # damaged, or it would have been opened
        made.rename(folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _fill(folder: Path, names: Sequence[str], read: Callable[[str], DecodedImage]) -> None:
    index = _Index()
    with (folder / "pixels").open("wb") as file:
        for row in _decode(names, read, index):
            file.write(row.tobytes())
    (folder / "index.json").write_text(json.dumps(asdict(index)))


def _open(folder: Path, names: Sequence[str], image_size: int) -> tuple[_Index, Uint8Images] | None:
    """What lies there, if it is whole."""
    try:
        index = _Index(**json.loads((folder / "index.json").read_text()))
        length = len(names) - len(index.unreadable)
        whole = (folder / "pixels").stat().st_size == length * 3 * image_size**2
        if not whole or not length:
            return None
        with contextlib.suppress(OSError):
            os.utime(folder)
        return index, MappedImages(folder / "pixels", length, image_size)
    except (OSError, ValueError, TypeError):
        return None


def _decode(names: Sequence[str], read: Callable[[str], DecodedImage], index: _Index) -> Iterator[_Pixels]:
    """Pixels ``(3, H, W)`` of the readable files in order, decoded by several threads a few files ahead."""
    upcoming: deque[tuple[str, Future[DecodedImage]]] = deque()
    remaining = iter(names)
    with quiet_pillow(), ThreadPoolExecutor(THREADS) as pool:
        while True:
            for name in remaining:
                upcoming.append((name, pool.submit(read, name)))
                if len(upcoming) >= 8 * THREADS:
                    break
            if not upcoming:
                return
            name, future = upcoming.popleft()
            try:
                image = future.result()
            except DataError as error:
                index.unreadable[name] = str(error.got)
                continue
            if image.enlarged:
                index.enlarged.append(name)
            yield image.pixels.transpose(2, 0, 1)


def _read(root: Path, image_size: int, interpolation: Interpolation, name: str) -> DecodedImage:
    return read_image(root / name, image_size, interpolation)


class _Loader:
    """Image by index; a class so that a dataset can be pickled to a worker process."""

    def __init__(self, read: Callable[[str], DecodedImage], names: Sequence[str]) -> None:
        self.read, self.names = read, names

    def __call__(self, index: int) -> _Pixels:
        return self.read(self.names[index]).pixels


def _state(path: Path) -> list[int]:
    """Size and time of a file; nothing if there is none."""
    try:
        state = path.stat()
    except OSError:
        return []
    return [state.st_size, state.st_mtime_ns]


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Alone among the processes that decode to this folder; where the file system has no locks, perhaps not alone."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f".lock-{folder.name}").open("w") as file:
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _prune(root: Path) -> None:
    oldest = time.time() - UNUSED_DAYS * 86400
    for entry in root.iterdir():
        if not entry.name.startswith(".lock") and entry.stat().st_mtime < oldest:
            shutil.rmtree(entry, ignore_errors=True)
