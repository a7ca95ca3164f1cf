"""Datasets of the Hugging Face hub: fetched once at a pinned commit, then read without network. The hub is a folder here."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from vqbench.catalog import resolve_parameters
from vqbench.errors import DataError, ParameterError, UnavailableError
from vqbench_plugins.datasets.hub_files import fetch_hub, hub_revision
from vqbench_plugins.datasets.specs import HUB

COMMIT = "0123456789abcdef" * 2 + "01234567"


def _parameters(**given: Any) -> dict[str, Any]:
    return dict(resolve_parameters(HUB, {"repo": "owner/photos", "commit": COMMIT, **given}))


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VQBENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """The library's ``load_dataset`` with files of this folder behind it; the images ``(6, 8, 8, 3)``, four to train on."""
    datasets = pytest.importorskip("datasets", reason="the extra vqbench[hf] is not installed")
    datasets.disable_progress_bars()
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)
    for split, images in (("train", pixels[:4]), ("test", pixels[4:])):
        for i, image in enumerate(images):
            path = tmp_path / "hub" / split / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)
    load = datasets.load_dataset

    def load_dataset(repo: str, *, name: str | None, split: str, revision: str, cache_dir: str) -> Any:
        assert (repo, name, revision) == ("owner/photos", None, COMMIT)
        return load("imagefolder", data_dir=str(tmp_path / "hub"), split=split, cache_dir=cache_dir)

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    return pixels


def test_what_was_fetched_is_read_without_the_hub(hub: np.ndarray, tmp_path: Path) -> None:
    from vqbench_plugins.datasets.hub import HubDataset

    with pytest.raises(
        UnavailableError, match=rf"vqbench data fetch hf --param repo=owner/photos --param commit={COMMIT}`"
    ):
        HubDataset(8, **_parameters())
    said: list[str] = []
    folder = fetch_hub(_parameters(), said.append)
    assert folder.is_relative_to(tmp_path / "cache/assets")
    assert said == ["owner/photos: train", "owner/photos: test"]
    for path in (tmp_path / "hub").rglob("*.png"):
        path.unlink()
    assert fetch_hub(_parameters(), said.append) == folder
    dataset = HubDataset(8, **_parameters())
    assert np.array_equal(dataset.split("train").batch(range(4)).numpy(), hub[:4].transpose(0, 3, 1, 2))
    assert np.array_equal(dataset.split("test").batch(range(2)).numpy(), hub[4:].transpose(0, 3, 1, 2))
    assert dataset.notes() == []
    again = pickle.loads(pickle.dumps(HubDataset(4, **_parameters(test_images=1))))
    assert len(again.split("test")) == 1
    assert hub_revision(_parameters()) != hub_revision(_parameters(test_images=1))


def test_a_broken_image_is_left_out_and_named(hub: np.ndarray, tmp_path: Path) -> None:
    from vqbench_plugins.datasets.hub import HubDataset

    (tmp_path / "hub/train/1.png").write_bytes(b"no image")
    fetch_hub(_parameters(), print)
    dataset = HubDataset(8, **_parameters())
    assert torch.equal(dataset.split("train")[1], torch.from_numpy(hub[2].transpose(2, 0, 1)) / 255)
    assert dataset.notes()[0].startswith("unreadable train images that were left out: 1 ('000000001: ")


def test_what_the_repository_does_not_have(hub: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no column of images.*got label.*'image'"):
        fetch_hub(_parameters(column="label"), print)
    with pytest.raises(DataError, match=r"does not have that.*validation"):
        fetch_hub(_parameters(test_split="validation"), print)
    assert not list((tmp_path / "cache/assets").glob("huggingface-*"))
    assert not list((tmp_path / "cache/assets").glob(".fetch-*"))


def test_offline_nothing_is_fetched(hub: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VQBENCH_OFFLINE", "1")
    with pytest.raises(UnavailableError, match="vqbench data fetch hf"):
        fetch_hub(_parameters(), print)


def test_a_local_folder_never_stands_in_for_a_repository(
    hub: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "owner/photos").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="owner/photos"):
        fetch_hub(_parameters(), print)


@pytest.mark.parametrize(
    "wrong",
    [
        {"repo": ""},
        {"repo": "imagefolder"},
        {"repo": "../photos"},
        {"repo": "a/b/c"},
        {"commit": "main"},
        {"commit": ""},
        {"train_split": "test"},
    ],
)
def test_repository_commit_and_splits_are_checked(wrong: dict[str, str]) -> None:
    with pytest.raises(ParameterError):
        hub_revision(_parameters(**wrong))
