"""Features go through the network once: shared between metrics, and those of originals kept between evaluations."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
import torch
from toy_features import ToyNetwork, measure, pair, toy_metrics, toy_weights

from vqbench.errors import CheckpointError
from vqbench_plugins.metrics import feature_cache
from vqbench_plugins.metrics.feature_cache import DAMAGED, FeatureCache

CONTENT = {"images": "a"}


@pytest.fixture(autouse=True)
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    return toy_weights(tmp_path, monkeypatch)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of the batches that went through the network."""
    sizes: list[int] = []
    forward = ToyNetwork.forward

    def counting(self: ToyNetwork, images: torch.Tensor) -> torch.Tensor:
        sizes.append(len(images))
        return forward(self, images)

    monkeypatch.setattr(ToyNetwork, "forward", counting)
    return sizes


def _values(*args: object, **kwargs: object) -> dict[str, float | None]:
    return {name: measured.value for name, measured in measure(toy_metrics(), *args, **kwargs).items()}  # type: ignore[arg-type]


def test_all_metrics_share_one_network_and_one_pass(tmp_path: Path, seen: list[int], asked: list[str]) -> None:
    _values(*pair(40), tmp_path / "cache")
    assert asked == ["toy"]
    assert seen == [16, 16, 16, 16, 8, 8]  # each batch's reconstructions and originals


def test_originals_go_through_the_network_once_for_all_cells(tmp_path: Path, seen: list[int]) -> None:
    originals, reconstructions = pair(40)
    first = _values(originals, reconstructions, tmp_path / "cache")
    seen.clear()
    second = _values(originals, reconstructions, tmp_path / "cache")
    assert sum(seen) == 40
    assert second == first
    seen.clear()
    other = _values(originals, originals, tmp_path / "cache")  # another cell, the same originals
    assert sum(seen) == 40
    assert other["fd"] == pytest.approx(0, abs=1e-6)


def test_other_images_or_weights_have_other_features(
    tmp_path: Path, seen: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    images = pair(40)
    _values(*images, tmp_path / "cache")
    seen.clear()
    _values(*images, tmp_path / "cache", images="others")
    toy_weights(tmp_path, monkeypatch, seed=1)
    _values(*images, tmp_path / "cache")
    assert sum(seen) == 2 * 2 * 40
    assert len(list((tmp_path / "cache" / "features").iterdir())) == 3


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-7] ^= 1
    path.write_bytes(content)


def _grow(path: Path) -> None:
    path.write_bytes(path.read_bytes() + bytes(1 << 20))


def _empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [_truncate, _flip, _grow, _empty])
def test_damaged_features_are_computed_again(tmp_path: Path, seen: list[int], damage) -> None:
    images = pair(40)
    first = _values(*images, tmp_path / "cache")
    (file,) = (tmp_path / "cache" / "features").iterdir()
    damage(file)
    seen.clear()
    again = measure(toy_metrics(), *images, tmp_path / "cache")
    assert sum(seen) == 80
    assert {name: measured.value for name, measured in again.items()} == first
    assert again["fd"].details["cache"] == DAMAGED
    seen.clear()
    mended = measure(toy_metrics(), *images, tmp_path / "cache")
    assert sum(seen) == 40
    assert "cache" not in mended["fd"].details


def test_an_evaluation_that_stops_early_caches_nothing(tmp_path: Path) -> None:
    originals, reconstructions = pair(40)
    with pytest.raises(ValueError, match="shorter"):  # the originals are 40, the reconstructions end
        _values(originals, reconstructions[:32], tmp_path / "cache")
    assert not list(tmp_path.glob("cache/features/*"))


def test_a_folder_that_cannot_be_written_costs_only_the_cache(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    expected = _values(*pair(40), tmp_path / "cache")
    assert _values(*pair(40), tmp_path / "file" / "below") == expected


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, *_: object) -> None:
        path.write_bytes(b"part")
        raise OSError(errno.ENOSPC, "No space left on device")

    expected = _values(*pair(40), tmp_path / "other")
    monkeypatch.setattr(feature_cache, "write_tensor_file", full)
    assert _values(*pair(40), tmp_path / "cache") == expected
    assert list((tmp_path / "cache" / "features").iterdir()) == []


def test_a_file_of_other_content_is_not_taken(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, CONTENT)
    assert cache.read((2, 3)) is None
    cache.write(torch.ones(2, 3))
    assert torch.equal(cache.read((2, 3)), torch.ones(2, 3))
    with pytest.raises(CheckpointError):
        cache.read((3, 2))
    other = FeatureCache(tmp_path, {"images": "b"})
    cache.path.rename(other.path)
    with pytest.raises(CheckpointError):
        other.read((2, 3))
