"""The dataset ``photos``: real pixels, the same ones everywhere, none of them in both splits."""

from __future__ import annotations

import hashlib
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vqbench.errors import DataError, ParameterError, UnavailableError
from vqbench_plugins.datasets import photo_files
from vqbench_plugins.datasets.photo_files import TEST_PHOTOS, TRAIN_PHOTOS, photo_folder, photos_revision
from vqbench_plugins.datasets.photos import Photos
from vqbench_plugins.datasets.specs import PHOTOS


def _all(dataset: Photos, split: str) -> torch.Tensor:
    images = dataset.split(split)
    return torch.stack([images[i] for i in range(len(images))])


@pytest.fixture(scope="module")
def small() -> Photos:
    return Photos(16, train_images=44, test_images=12)


def test_images_are_contiguous_float_rgb_of_256_levels(small: Photos) -> None:
    for split, count in (("train", 44), ("test", 12)):
        images = _all(small, split)
        assert images.shape == (count, 3, 16, 16)
        assert images.dtype == torch.float32
        assert 0 <= images.min() < 0.1
        assert 0.9 < images.max() <= 1
        assert torch.equal(images, (images * 255).round() / 255)
        assert small.split(split)[0].is_contiguous()


def test_images_differ_from_each_other_and_between_seeds_and_splits(small: Photos) -> None:
    images = torch.cat([_all(small, "train"), _all(small, "test")])
    other = _all(Photos(16, train_images=44, test_images=1, seed=1), "train")
    assert len(images.flatten(1).unique(dim=0)) == 56
    assert not any(torch.equal(a, b) for a, b in zip(images, other, strict=False))


def test_asking_for_more_images_leaves_the_others_as_they_are(small: Photos) -> None:
    more = Photos(16, train_images=60, test_images=20)
    for split in ("train", "test"):
        few = _all(small, split)
        assert torch.equal(_all(more, split)[: len(few)], few)


def test_order_of_access_does_not_matter(small: Photos) -> None:
    fresh = Photos(16, train_images=44, test_images=12).split("train")
    assert torch.equal(fresh[31], small.split("train")[31])
    assert torch.equal(fresh[-44], small.split("train")[0])


def test_an_unresized_crop_is_found_in_its_photo_and_in_no_photo_of_the_other_split() -> None:
    dataset = Photos(24, train_images=11, test_images=3, max_scale=1.0)
    with Image.open(photo_folder() / "astronaut.png") as photo:
        astronaut = torch.from_numpy(np.array(photo)).permute(2, 0, 1).float() / 255
    windows = astronaut.unfold(1, 24, 1).unfold(2, 24, 1)

    def holds(crop: torch.Tensor) -> bool:
        corner = (windows[:, :, :, 0, 0] == crop[:, None, None, 0, 0]).all(0).nonzero()
        return any(torch.equal(astronaut[:, y : y + 24, x : x + 24], crop) for y, x in corner)

    assert [holds(image) for image in _all(dataset, "train")] == [True] * 3 + [False] * 8
    assert not any(holds(image) for image in _all(dataset, "test"))


def test_the_last_image_is_followed_by_an_index_error(small: Photos) -> None:
    with pytest.raises(IndexError):
        small.split("test")[12]
    with pytest.raises(IndexError):
        small.split("test")[-13]


def test_writing_into_an_image_does_not_change_the_dataset(small: Photos) -> None:
    before = small.split("test")[3].clone()
    small.split("test")[3].zero_()
    assert torch.equal(small.split("test")[3], before)


def test_a_pickled_dataset_holds_the_same_images(small: Photos) -> None:
    assert torch.equal(_all(pickle.loads(pickle.dumps(small)), "test"), _all(small, "test"))


def test_a_set_too_large_to_keep_has_the_same_images(small: Photos, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vqbench_plugins.datasets.uint8_images.CACHE_BYTES", 100)
    assert torch.equal(_all(Photos(16, train_images=44, test_images=12), "train"), _all(small, "train"))


def test_the_largest_size_is_the_smallest_photo() -> None:
    assert Photos(300, train_images=1, test_images=3).split("test")[0].shape == (3, 300, 300)
    with pytest.raises(ParameterError, match="at most 300"):
        Photos(301)


def test_pinned_digests_are_those_of_the_installed_files_and_the_splits_share_no_photo() -> None:
    for photo in TRAIN_PHOTOS + TEST_PHOTOS:
        assert hashlib.sha256((photo_folder() / photo.name).read_bytes()).hexdigest() == photo.sha256
    names = [photo.name for photo in TRAIN_PHOTOS + TEST_PHOTOS]
    assert len(set(names)) == len(names) == 10
    assert not any("motorcycle" in name for name in names)


def test_a_changed_photo_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "data"
    shutil.copytree(photo_folder(), folder, ignore=shutil.ignore_patterns("*.py", "*.npy", "*.npz", "*.tif"))
    content = (folder / "coffee.png").read_bytes()
    (folder / "coffee.png").write_bytes(content + b"\0")
    monkeypatch.setattr("vqbench_plugins.datasets.photos.photo_folder", lambda: folder)
    with pytest.raises(DataError, match=r"coffee\.png.*is not the one.*Reinstall"):
        Photos(16)


def test_missing_photos_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "coffee.png").touch()

    class Spec:
        submodule_search_locations = (str(tmp_path),)

    monkeypatch.setattr(photo_files, "find_spec", lambda name: Spec())
    with pytest.raises(UnavailableError, match=r"chelsea\.png.*pip install scikit-image") as caught:
        photos_revision({})
    assert "coffee" not in str(caught.value)
    monkeypatch.setattr(photo_files, "find_spec", lambda name: None)
    with pytest.raises(UnavailableError, match="not installed"):
        photos_revision({})


def test_revision_changes_with_the_pinned_photos_only(monkeypatch: pytest.MonkeyPatch) -> None:
    revision = photos_revision({"seed": 0})
    assert revision == photos_revision({"seed": 5, "train_images": 3})
    monkeypatch.setattr(photo_files, "TEST_PHOTOS", TEST_PHOTOS[:2])
    assert photos_revision({"seed": 0}) != revision


def test_notes_say_how_few_photos_stand_behind_the_test_images(small: Photos) -> None:
    (note,) = small.notes()
    assert "12 test images" in note
    assert "3 photos" in note


def test_descriptors_and_revision_import_neither_torch_nor_numpy_nor_scikit_image() -> None:
    code = (
        "import sys; from vqbench_plugins.datasets.specs import PHOTOS; PHOTOS.revision({});"
        "sys.exit(','.join({'torch', 'numpy', 'PIL', 'skimage'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_descriptor_defaults_are_those_of_the_class() -> None:
    given = {parameter.name: parameter.default for parameter in PHOTOS.parameters}
    assert given == Photos.__init__.__kwdefaults__
