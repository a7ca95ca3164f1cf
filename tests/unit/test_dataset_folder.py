"""The dataset ``folder``: every kind of image file comes out as upright RGB, and none is dropped in silence."""

from __future__ import annotations

import pickle
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vqbench.errors import DataError, UnavailableError
from vqbench_plugins.datasets import decoding
from vqbench_plugins.datasets.decoding import read_image
from vqbench_plugins.datasets.folder import ImageFolder
from vqbench_plugins.datasets.specs import FOLDER

SIZE = 8


def _noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def _save(path: Path, pixels: np.ndarray, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def _read(path: Path, size: int = SIZE) -> np.ndarray:
    return read_image(path, size, "bilinear").pixels


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for split, count in (("train", 6), ("test", 4)):
        for i in range(count):
            _save(tmp_path / split / f"{i}.png", _noise(12, 10, 3, seed=i + 10 * (split == "test")))
    return tmp_path


def test_images_are_float_rgb_in_the_order_of_their_names(root: Path) -> None:
    images = ImageFolder(10, root=str(root)).split("train")
    assert len(images) == 6
    for i in range(6):
        assert images[i].shape == (3, 10, 10)
        assert images[i].dtype == torch.float32
        expected = torch.from_numpy(_noise(12, 10, 3, seed=i)[1:11]).permute(2, 0, 1) / 255
        assert torch.equal(images[i], expected)


def test_no_root_is_unavailable() -> None:
    with pytest.raises(UnavailableError, match=r"--set data\.params\.root="):
        ImageFolder(SIZE)


def test_damaged_files_are_left_out_and_named(root: Path) -> None:
    whole = (root / "train/0.png").read_bytes()
    (root / "train/cut.png").write_bytes(whole[: len(whole) // 2])
    (root / "train/empty.jpg").touch()
    (root / "train/text.png").write_text("not an image")
    dataset = ImageFolder(SIZE, root=str(root))
    assert dataset.notes() == []  # nothing was opened yet
    assert len(dataset.split("train")) == 6
    assert len(dataset.split("test")) == 4
    (note,) = dataset.notes()
    assert note.startswith("unreadable train images that were left out: 3 ")
    assert all(name in note for name in ("train/cut.png", "train/empty.jpg", "train/text.png"))


def test_a_split_without_a_readable_image_is_an_error(root: Path) -> None:
    for path in (root / "test").iterdir():
        path.write_bytes(b"")
    with pytest.raises(DataError, match=r"none of the test images.*test/0\.png"):
        ImageFolder(SIZE, root=str(root)).split("test")


def test_a_split_is_verified_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = ImageFolder(SIZE, root=str(root))
    first = dataset.split("train")
    monkeypatch.setattr(decoding.Image, "open", None)
    assert dataset.split("train") is first


def test_a_file_that_breaks_after_it_was_decoded_does_no_harm(root: Path) -> None:
    images = ImageFolder(SIZE, root=str(root)).split("train")
    before = images[2]
    (root / "train/2.png").write_bytes(b"gone")
    assert torch.equal(images[2], before)


def test_a_file_that_breaks_and_was_not_kept_is_an_error_that_names_it(
    root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("VQBENCH_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr("vqbench_plugins.datasets.decoded.CACHE_BYTES", 100)
    monkeypatch.setattr("vqbench_plugins.datasets.uint8_images.CACHE_BYTES", 100)
    images = ImageFolder(SIZE, root=str(root)).split("train")
    (root / "train/2.png").write_bytes(b"gone")
    with pytest.raises(DataError, match=r"2\.png"):
        images[2]


def test_images_smaller_than_the_crop_are_enlarged_and_named(root: Path) -> None:
    _save(root / "test/small.png", _noise(5, 30, 3))
    dataset = ImageFolder(SIZE, root=str(root))
    assert dataset.split("test")[4].shape == (3, SIZE, SIZE)
    assert dataset.notes() == ["test images smaller than 8 pixels that were enlarged: 1 ('test/small.png')"]


def test_test_images_that_are_also_training_images_are_named(root: Path) -> None:
    (root / "test/twin.png").write_bytes((root / "train/3.png").read_bytes())
    dataset = ImageFolder(SIZE, root=str(root))
    dataset.split("test")
    assert dataset.notes() == ["test images whose file is also a training image: 1 ('test/twin.png')"]


def test_a_pickled_dataset_holds_the_same_images(root: Path) -> None:
    dataset = ImageFolder(SIZE, root=str(root))
    assert torch.equal(dataset.split("test")[1], pickle.loads(pickle.dumps(dataset)).split("test")[1])


@pytest.mark.parametrize("interpolation", ["bilinear", "lanczos"])
@pytest.mark.parametrize("shape", [(40, 61), (61, 40), (40, 40), (7, 30), (33, 5)])
def test_resize_and_crop_are_those_of_torchvision(tmp_path: Path, interpolation: str, shape: tuple[int, int]) -> None:
    transforms = pytest.importorskip("torchvision.transforms")
    path = _save(tmp_path / "a.png", _noise(*shape, 3))
    mode = transforms.InterpolationMode[interpolation.upper()]
    reference = transforms.Compose([transforms.Resize(16, mode), transforms.CenterCrop(16)])
    expected = np.asarray(reference(Image.open(path)))
    assert np.array_equal(read_image(path, 16, interpolation).pixels, expected)


def test_grey_becomes_three_equal_channels(tmp_path: Path) -> None:
    grey = _noise(SIZE, SIZE)
    assert np.array_equal(_read(_save(tmp_path / "a.png", grey)), np.repeat(grey[..., None], 3, 2))


def test_black_and_white_becomes_0_and_255(tmp_path: Path) -> None:
    bits = _noise(SIZE, SIZE) > 127
    assert np.array_equal(_read(_save(tmp_path / "a.png", bits))[..., 0], bits * np.uint8(255))


@pytest.mark.parametrize("ending", ["png", "tif", "pgm"])
def test_16_bit_grey_is_rescaled(tmp_path: Path, ending: str) -> None:
    levels = _noise(SIZE, SIZE)
    path = _save(tmp_path / f"a.{ending}", levels.astype(np.uint16) * 257)
    assert np.array_equal(_read(path)[..., 1], levels)


def test_16_bit_colour_keeps_its_high_bytes(tmp_path: Path) -> None:
    levels = _noise(SIZE, SIZE, 3)
    rows = b"".join(b"\0" + (row.astype(">u2") * 256 + 7).astype(">u2").tobytes() for row in levels)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", SIZE, SIZE, 16, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(png)
    assert np.array_equal(_read(tmp_path / "a.png"), levels)


@pytest.mark.parametrize("channels", [2, 4])
def test_alpha_is_laid_over_white(tmp_path: Path, channels: int) -> None:
    pixels = _noise(SIZE, SIZE, channels)
    pixels[:4, :, -1], pixels[4:, :, -1] = 0, 255
    got = _read(_save(tmp_path / "a.png", pixels))
    assert (got[:4] == 255).all()
    assert np.array_equal(got[4:], np.broadcast_to(pixels[4:, :, : channels - 1], (4, SIZE, 3)))


def test_a_transparent_palette_entry_becomes_white(tmp_path: Path) -> None:
    image = Image.new("P", (SIZE, SIZE), 0)
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.paste(1, (0, 0, SIZE, 4))
    image.save(tmp_path / "a.png", transparency=0)
    got = _read(tmp_path / "a.png")
    assert (got[:4] == (200, 100, 50)).all()
    assert (got[4:] == 255).all()


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    Image.new("CMYK", (SIZE, SIZE), (255, 0, 0, 0)).save(tmp_path / "a.tif")
    assert (_read(tmp_path / "a.tif") == (0, 255, 255)).all()


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    pixels = _noise(SIZE, SIZE, 3)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90 degrees clockwise to see it upright
    assert np.array_equal(_read(_save(tmp_path / "a.png", pixels, exif=exif)), np.rot90(pixels, -1))


def test_the_first_frame_of_an_animation_counts(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (SIZE, SIZE), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert (_read(tmp_path / "a.gif") == (255, 0, 0)).all()


def test_floating_point_pixels_are_refused(tmp_path: Path) -> None:
    _save(tmp_path / "a.tif", np.zeros((SIZE, SIZE), np.float32))
    with pytest.raises(DataError, match=r"a\.tif.*floating-point"):
        _read(tmp_path / "a.tif")


def test_integers_beyond_16_bits_are_refused(tmp_path: Path) -> None:
    _save(tmp_path / "a.tif", np.full((SIZE, SIZE), 70000, np.int32))
    with pytest.raises(DataError, match="not 16-bit"):
        _read(tmp_path / "a.tif")


def _png_of(path: Path, width: int, height: int) -> Path:
    """A PNG of a few bytes that claims to be large."""
    path.parent.mkdir(exist_ok=True)
    _save(path, _noise(1, 1, 3))
    content = bytearray(path.read_bytes())
    content[16:24] = struct.pack(">II", width, height)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("side", [2**13 + 1, 2**14, 2**20])
def test_huge_images_are_refused_before_they_are_decoded_and_named(root: Path, side: int) -> None:
    _png_of(root / "train/bomb.png", side, side)
    dataset = ImageFolder(SIZE, root=str(root))
    assert len(dataset.split("train")) == 6
    assert "train/bomb.png" in dataset.notes()[0]
    assert "pixels" in dataset.notes()[0]


def test_a_thin_strip_is_refused_before_it_is_enlarged(tmp_path: Path) -> None:
    path = _save(tmp_path / "a.png", np.zeros((1, 20000), np.uint8))
    with pytest.raises(DataError, match="pixels are more than"):
        read_image(path, 256, "bilinear")


def test_only_listed_formats_are_decoded_whatever_the_name_says(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(_noise(SIZE, SIZE, 3)).save(path, format="PCX")
    with Image.open(path) as image:
        assert image.format == "PCX"  # Pillow itself would read it
    with pytest.raises(DataError, match=r"a\.png"):
        _read(path)


def test_descriptor_defaults_are_those_of_the_class() -> None:
    assert {parameter.name: parameter.default for parameter in FOLDER.parameters} == ImageFolder.__init__.__kwdefaults__
