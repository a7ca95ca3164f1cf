"""Image files are decoded once; where their pixels cannot be kept, they are the same all the same."""

from __future__ import annotations

import errno
import os
import pickle
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from vqbench_plugins.datasets import decoded, decoding
from vqbench_plugins.datasets.decoded import decode_files
from vqbench_plugins.datasets.uint8_images import ArrayImages, MadeImages, MappedImages

SIZE = 8
NAMES = [f"{i}.png" for i in range(6)]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VQBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "decoded"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for i, name in enumerate(NAMES):
        pixels = np.random.default_rng(i).integers(0, 256, (12, 10, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name)
    return folder


def _decode(root: Path) -> decoded.DecodedFiles:
    return decode_files(root, NAMES, SIZE, "bilinear")


def _all(files: decoded.DecodedFiles) -> torch.Tensor:
    return files.images.batch(range(len(files.images)))


def _kept(cache: Path) -> list[Path]:
    return [path for path in cache.iterdir() if not path.name.startswith(".")]


def test_a_second_opening_decodes_nothing(root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = _decode(root)
    assert isinstance(first.images, MappedImages)
    (folder,) = _kept(cache)
    assert (folder / "pixels").stat().st_size == 6 * 3 * SIZE**2
    monkeypatch.setattr(decoding.Image, "open", None)
    second = _decode(root)
    assert torch.equal(_all(second), _all(first))
    assert list(second.names) == NAMES


def test_images_are_those_that_a_single_file_gives(root: Path, cache: Path) -> None:
    images = _decode(root).images
    for i, name in enumerate(NAMES):
        expected = decoding.read_image(root / name, SIZE, "bilinear").pixels.transpose(2, 0, 1)
        assert np.array_equal(images.batch([i])[0].numpy(), expected)


def test_what_was_found_out_is_remembered(root: Path, cache: Path) -> None:
    (root / "1.png").write_bytes((root / "1.png").read_bytes()[:60])
    Image.new("L", (SIZE - 1, 30)).save(root / "4.png")
    for _ in range(2):
        files = _decode(root)
        assert list(files.names) == [name for name in NAMES if name != "1.png"]
        (reason,) = files.unreadable
        assert reason.startswith("1.png: ")
        assert list(files.enlarged) == ["4.png"]
        assert len(files.images) == 5


@pytest.mark.parametrize("change", ["content", "time", "size", "interpolation", "pillow"])
def test_anything_that_may_change_a_pixel_decodes_again(
    root: Path, cache: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _decode(root)
    size, interpolation = SIZE, "bilinear"
    if change == "content":
        Image.new("RGB", (12, 12), "red").save(root / "2.png")
    elif change == "time":
        os.utime(root / "2.png", (0, 0))
    elif change == "size":
        size = SIZE - 1
    elif change == "interpolation":
        interpolation = "lanczos"
    else:
        monkeypatch.setattr("PIL.__version__", "0.0.0")
    files = decode_files(root, NAMES, size, interpolation)
    assert len(_kept(cache)) == 2
    if change == "content":
        assert (files.images[2][0] == 1).all()


@pytest.mark.parametrize("damage", ["cut", "no index", "index"])
def test_damaged_pixels_are_made_again(root: Path, cache: Path, damage: str) -> None:
    expected = _all(_decode(root))
    (folder,) = _kept(cache)
    if damage == "cut":
        os.truncate(folder / "pixels", 100)
    elif damage == "no index":
        (folder / "index.json").unlink()
    else:
        (folder / "index.json").write_text('{"unreadable": 1')
    assert torch.equal(_all(_decode(root)), expected)
    assert _kept(cache) == [folder]


def test_a_process_that_was_killed_leaves_nothing_in_the_way(root: Path, cache: Path) -> None:
    expected = _all(_decode(root))
    (folder,) = _kept(cache)
    folder.rename(folder.with_name(f".decoding-{folder.name}"))
    assert torch.equal(_all(_decode(root)), expected)
    assert not list(cache.glob(".decoding-*"))


class TestWithoutDisk:
    def check(self, root: Path, cache: Path, caplog: pytest.LogCaptureFixture, reason: str) -> decoded.DecodedFiles:
        files = _decode(root)
        assert reason in caplog.text
        assert not cache.is_dir() or not _kept(cache)
        expected = [decoding.read_image(root / n, SIZE, "bilinear").pixels.transpose(2, 0, 1) for n in NAMES]
        assert np.array_equal(_all(files).numpy(), np.stack(expected))
        return files

    def test_little_space(
        self, root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=6 * 3 * SIZE**2 * 2 - 1))
        files = self.check(root, cache, caplog, "free")
        assert isinstance(files.images, ArrayImages)

    def test_a_disk_that_fills_up(
        self, root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def full(*args: object) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(decoded, "_fill", full)
        self.check(root, cache, caplog, os.strerror(errno.ENOSPC))
        assert not list(cache.glob(".decoding-*"))

    def test_a_cache_that_is_a_file(self, root: Path, cache: Path, caplog: pytest.LogCaptureFixture) -> None:
        cache.parent.write_text("in the way")
        self.check(root, cache, caplog, "Not a directory")

    def test_nor_memory(
        self, root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=0))
        monkeypatch.setattr(decoded, "CACHE_BYTES", 100)
        files = self.check(root, cache, caplog, "free")
        assert isinstance(files.images, MadeImages)
        assert torch.equal(_all(pickle.loads(pickle.dumps(files))), _all(files))


def test_a_pickle_holds_the_path_and_not_the_pixels(root: Path, cache: Path) -> None:
    images = _decode(root).images
    before = images.batch([1, 2])
    text = pickle.dumps(images)
    assert len(text) < 500
    assert torch.equal(pickle.loads(text).batch([1, 2]), before)


def test_what_is_long_unused_is_deleted_when_something_else_is_written(root: Path, cache: Path) -> None:
    _decode(root)
    decode_files(root, NAMES, SIZE + 1, "bilinear")
    old, recent = sorted(_kept(cache), key=lambda path: (path / "pixels").stat().st_size)
    long_ago = time.time() - (decoded.UNUSED_DAYS + 1) * 86400
    for folder in (old, recent):
        os.utime(folder, (long_ago, long_ago))
    decode_files(root, NAMES, SIZE + 1, "bilinear")  # use is noticed
    decode_files(root, NAMES, SIZE + 2, "bilinear")
    assert recent in _kept(cache)
    assert old not in _kept(cache)


def test_two_that_want_the_same_images_decode_them_once(cache: Path) -> None:
    asked: list[str] = []
    names = [str(i) for i in range(40)]

    def read(name: str) -> decoding.DecodedImage:
        asked.append(name)
        time.sleep(0.002)
        return decoding.DecodedImage(np.full((SIZE, SIZE, 3), int(name), np.uint8), enlarged=False)

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: decoded.decode_once("same", names, SIZE, read), range(4)))
    assert sorted(asked) == sorted(names)
    for files in made:
        assert _all(files)[:, 0, 0, 0].tolist() == list(range(40))
