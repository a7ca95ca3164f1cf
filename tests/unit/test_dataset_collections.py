"""Folders of ImageNet, COCO and FFHQ: only the right number of images will do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vqbench.catalog import resolve_parameters
from vqbench.errors import DataError, UnavailableError
from vqbench_plugins.datasets.image_collections import CocoVal, Ffhq, ImageNetVal
from vqbench_plugins.datasets.specs import COCO, FACES, IMAGENET
from vqbench_plugins.datasets.standard_folders import (
    COCO_VAL,
    FFHQ,
    IMAGENET_VAL,
    StandardFolder,
    list_standard,
    standard_revision,
)

SIZE = 8
TINY = StandardFolder(name="tiny", images=5, holds="five images")
TINY_FACES = StandardFolder(name="tiny-faces", images=5, holds="five faces", test_images=2)


class Tiny(ImageNetVal):
    standard = TINY


class TinyFaces(Ffhq):
    standard = TINY_FACES


def _fill(folder: Path, *names: str) -> Path:
    for i, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(i).integers(0, 256, (10, 12, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name)
    return folder


@pytest.fixture
def val(tmp_path: Path) -> Path:
    return _fill(tmp_path / "val", "n2/c.JPEG", "n1/a.JPEG", "n1/b.JPEG", "n3/e.JPEG", "n3/d.JPEG")


@pytest.fixture
def train(tmp_path: Path) -> Path:
    return _fill(tmp_path / "train", "n1/x.JPEG", "n2/y.JPEG", "n2/z.JPEG")


def test_test_images_are_all_of_root_and_training_images_all_of_train_root(val: Path, train: Path) -> None:
    (val / "readme.txt").touch()
    dataset = Tiny(SIZE, root=str(val), train_root=str(train))
    assert (len(dataset.split("train")), len(dataset.split("test"))) == (3, 5)
    files = list_standard(TINY, str(val), train_root=str(train))
    assert files.test == ("n1/a.JPEG", "n1/b.JPEG", "n2/c.JPEG", "n3/d.JPEG", "n3/e.JPEG")
    few = Tiny(SIZE, root=str(val), train_root=str(train), test_images=2, train_images=1)
    assert (len(few.split("train")), len(few.split("test"))) == (1, 2)


@pytest.mark.parametrize("change", ["one more", "one less", "a link"])
def test_another_number_of_images_is_an_error(val: Path, train: Path, change: str, tmp_path: Path) -> None:
    if change == "one more":
        _fill(val, "extra.png")
    else:
        (val / "n1/a.JPEG").rename(tmp_path / "moved.JPEG")
    if change == "a link":
        (val / "n1/a.JPEG").symlink_to(tmp_path / "moved.JPEG")
    got = "6 images" if change == "one more" else "4 images"
    with pytest.raises(DataError, match=rf"not five images: got {got} in .*expected 5 images") as error:
        Tiny(SIZE, root=str(val), train_root=str(train))
    assert ("links out of the folder" in str(error.value)) == (change == "a link")


def test_a_broken_test_image_is_an_error_and_a_broken_training_image_a_note(val: Path, train: Path) -> None:
    (train / "n1/x.JPEG").write_bytes(b"")
    dataset = Tiny(SIZE, root=str(val), train_root=str(train))
    assert len(dataset.split("train")) == 2
    assert "n1/x.JPEG" in dataset.notes()[0]
    (val / "n2/c.JPEG").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"test images .* cannot be read.*n2/c\.JPEG.*expected all of them"):
        Tiny(SIZE, root=str(val), train_root=str(train)).split("test")


def test_missing_folders_say_how_to_set_them(val: Path, tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"--set data\.params\.root=FOLDER"):
        Tiny(SIZE)
    with pytest.raises(UnavailableError, match=r"--set data\.params\.train_root=FOLDER"):
        Tiny(SIZE, root=str(val))
    with pytest.raises(UnavailableError, match=r"train_root .* is not a folder.*nowhere"):
        Tiny(SIZE, root=str(val), train_root=str(tmp_path / "nowhere"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"train_root .* has no images"):
        Tiny(SIZE, root=str(val), train_root=str(tmp_path / "empty"))


def test_training_and_test_folder_may_not_overlap(val: Path, train: Path) -> None:
    for train_root in (val, val.parent, val / "n1"):
        with pytest.raises(DataError, match="share images"):
            Tiny(SIZE, root=str(val), train_root=str(train_root))


def test_the_last_faces_by_number_are_for_testing(tmp_path: Path) -> None:
    root = _fill(tmp_path, *(f"0000{i}.png" for i in range(5)))
    dataset = TinyFaces(SIZE, root=str(root))
    assert list_standard(TINY_FACES, str(root)).test == ("00003.png", "00004.png")
    assert (len(dataset.split("train")), len(dataset.split("test"))) == (3, 2)
    assert not torch.equal(dataset.split("train")[2], dataset.split("test")[0])


def test_revision_is_of_content_and_choice_not_of_place(val: Path, train: Path, tmp_path: Path) -> None:
    revision = standard_revision(TINY)
    given = {"root": str(val), "train_root": str(train), "interpolation": "bilinear"}
    before = revision(given)
    val.rename(tmp_path / "moved")
    given["root"] = str(tmp_path / "moved")
    assert revision(given) == before
    seen = [before, revision(given | {"test_images": 3}), revision(given | {"interpolation": "lanczos"})]
    (train / "n1/x.JPEG").write_bytes(b"another size")
    seen.append(revision(given))
    content = (tmp_path / "moved/n1/a.JPEG").read_bytes()
    (tmp_path / "moved/n1/a.JPEG").write_bytes(content[:-1] + b"x")
    seen.append(revision(given))
    assert len(set(seen)) == 5


def test_the_real_collections_have_their_known_sizes_and_descriptors_fit_the_classes() -> None:
    assert (IMAGENET_VAL.images, COCO_VAL.images, FFHQ.images, FFHQ.test_images) == (50_000, 5_000, 70_000, 10_000)
    for spec, cls in ((IMAGENET, ImageNetVal), (COCO, CocoVal), (FACES, Ffhq)):
        assert cls.standard.name == spec.name
        assert {p.name for p in spec.parameters if p.local} <= {"root", "train_root"}
        with pytest.raises(UnavailableError, match=rf"'{spec.name}'.*data\.params\.root"):
            spec.revision(resolve_parameters(spec))
        with pytest.raises(UnavailableError, match=rf"'{spec.name}'"):
            cls(SIZE, **resolve_parameters(spec))
