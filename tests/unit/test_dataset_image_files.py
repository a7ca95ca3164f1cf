"""Which files of a folder become training and test images."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from vqbench.errors import DataError, UnavailableError
from vqbench_plugins.datasets.image_files import fingerprint, folder_revision, list_images, quoted


def _touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return root


@pytest.fixture
def hundred(tmp_path: Path) -> Path:
    return _touch(tmp_path, *(f"class{i % 3}/{i:03}.png" for i in range(100)))


def test_an_empty_root_says_how_to_set_it() -> None:
    with pytest.raises(UnavailableError, match=r"--set data\.params\.root="):
        list_images("")
    with pytest.raises(UnavailableError, match=r"--set data\.params\.root="):
        folder_revision({"root": "", "interpolation": "lanczos"})


def test_a_root_that_is_a_file_or_missing_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name in ("file", "missing"):
        with pytest.raises(UnavailableError, match=name):
            list_images(str(tmp_path / name))


def test_split_folders_are_used_and_test_is_preferred_to_val(tmp_path: Path) -> None:
    root = _touch(tmp_path, "train/b.png", "train/x/a.JPEG", "val/c.png", "other.png", "train/readme.txt")
    files = list_images(str(root))
    assert files.train == ("train/b.png", "train/x/a.JPEG")
    assert files.test == ("val/c.png",)
    assert files.notes == ("image files outside train/ and val/ that were left out: 1",)
    _touch(root, "test/d.webp")
    assert list_images(str(root)).test == ("test/d.webp",)


def test_without_split_folders_every_file_is_in_exactly_one_split(hundred: Path) -> None:
    files = list_images(str(hundred), test_fraction=0.3)
    assert len(files.train) + len(files.test) == 100
    assert not set(files.train) & set(files.test)
    assert 15 <= len(files.test) <= 45  # binomial(100, 0.3): beyond three standard deviations
    assert list(files.train) == sorted(files.train)


def test_adding_files_or_raising_the_fraction_never_moves_a_test_image_to_training(hundred: Path) -> None:
    before = set(list_images(str(hundred), test_fraction=0.2).test)
    assert before < set(list_images(str(hundred), test_fraction=0.5).test)
    _touch(hundred, *(f"new/{i}.png" for i in range(50)))
    assert before == {n for n in list_images(str(hundred), test_fraction=0.2).test if not n.startswith("new/")}


def test_the_seed_changes_the_split(hundred: Path) -> None:
    assert list_images(str(hundred), seed=0).test != list_images(str(hundred), seed=1).test


def test_limits_choose_a_stable_part(hundred: Path) -> None:
    everything = list_images(str(hundred), test_fraction=0.3)
    ten, twenty = (list_images(str(hundred), test_fraction=0.3, train_images=n, test_images=5) for n in (10, 20))
    assert len(ten.train) == 10
    assert len(ten.test) == 5
    assert set(ten.train) < set(twenty.train) < set(everything.train)
    assert list(ten.train) == sorted(ten.train)
    assert ten.train != everything.train[:10]  # a part of all, not the first class


@pytest.mark.parametrize("fraction", [0.0, 1.0])
def test_an_empty_split_is_an_error(hundred: Path, fraction: float) -> None:
    with pytest.raises(DataError, match="training" if fraction else "test"):
        list_images(str(hundred), test_fraction=fraction)


def test_a_folder_without_images_is_an_error(tmp_path: Path) -> None:
    _touch(tmp_path, "notes.txt")
    with pytest.raises(DataError, match=r"0 image files.*\.png"):
        list_images(str(tmp_path))


def test_links_that_leave_the_root_are_not_followed_but_named(tmp_path: Path) -> None:
    outside = _touch(tmp_path / "outside", "secret.png")
    root = _touch(tmp_path / "root", *(f"{i}.png" for i in range(30)))
    (root / "escape.png").symlink_to(outside / "secret.png")
    (root / "album").symlink_to(outside)
    (root / "loop").symlink_to(root)
    (root / "inside.png").symlink_to(root / "0.png")
    files = list_images(str(root), test_fraction=0.3)
    names = {*files.train, *files.test}
    assert len(names) == 31
    assert "inside.png" in names
    assert any("out of the folder" in note and "escape.png" in note for note in files.notes)
    assert any("links to folders" in note and "'album', 'loop'" in note for note in files.notes)


def test_a_split_folder_that_is_a_link_is_refused(tmp_path: Path) -> None:
    outside = _touch(tmp_path / "outside", "a.png")
    root = _touch(tmp_path / "root", "test/b.png")
    (root / "train").symlink_to(outside)
    with pytest.raises(DataError, match=r"'train'.*symbolic link"):
        list_images(str(root))


def test_what_is_not_a_regular_file_is_not_opened_but_named(tmp_path: Path) -> None:
    root = _touch(tmp_path, *(f"{i}.png" for i in range(30)))
    os.mkfifo(root / "pipe.png")
    (root / "dangling.png").symlink_to(root / "nowhere.png")
    files = list_images(str(root), test_fraction=0.3)
    assert len(files.train) + len(files.test) == 30
    (note,) = files.notes
    assert note == "not regular files: 2 ('dangling.png', 'pipe.png')"


def test_a_name_that_is_not_utf8_is_named_not_raised(tmp_path: Path) -> None:
    root = _touch(tmp_path, *(f"{i}.png" for i in range(30)))
    try:
        (root / os.fsdecode(b"\xff.png")).touch()
    except OSError:
        pytest.skip("this file system has UTF-8 names only")
    (note,) = list_images(str(root), test_fraction=0.3).notes
    note.encode()
    assert "not UTF-8" in note


def test_long_lists_of_names_are_cut_and_counted() -> None:
    text = quoted([f"{i}.png" for i in range(250)])
    assert text.startswith("250 ('0.png', ")
    assert text.endswith("'99.png' and 150 more)")


def test_revision_survives_a_move_and_a_touch(hundred: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    copy = tmp_path_factory.mktemp("elsewhere") / "copy"
    shutil.copytree(hundred, copy)
    os.utime(copy / "class0/000.png", (0, 0))
    assert folder_revision({"root": str(copy)}) == folder_revision({"root": str(hundred)})


def test_revision_changes_with_content_names_and_choice(hundred: Path) -> None:
    seen = [folder_revision({"root": str(hundred)})]
    seen.append(folder_revision({"root": str(hundred), "train_images": 7}))
    (hundred / "class0/000.png").write_bytes(b"CLASS0/000.png")  # same size
    seen.append(folder_revision({"root": str(hundred)}))
    (hundred / "class0/000.png").rename(hundred / "class0/renamed.png")
    seen.append(folder_revision({"root": str(hundred)}))
    _touch(hundred, "one_more.png")
    seen.append(folder_revision({"root": str(hundred)}))
    assert len(set(seen)) == 5


def test_revision_changes_with_a_name_that_moves_nothing(tmp_path: Path) -> None:
    root = _touch(tmp_path, "train/a.png", "train/b.png", "train/c.png", "test/d.png")
    before = folder_revision({"root": str(root)})
    (root / "train/b.png").rename(root / "train/bb.png")  # same split, same place in the order
    assert folder_revision({"root": str(root)}) != before


@pytest.mark.parametrize("size", [1, 2**15, 2**15 + 1, 2**16 - 1, 2**16])
def test_fingerprint_covers_every_byte_of_files_up_to_64_kib(tmp_path: Path, size: int) -> None:
    file = tmp_path / "file"
    seen = set()
    for changed in (None, 0, size // 2, size - 1):
        content = bytearray(size)
        if changed is not None:
            content[changed] = 1
        file.write_bytes(content)
        seen.add(fingerprint(file))
    assert len(seen) == len({0, size // 2, size - 1}) + 1


def test_fingerprint_of_a_large_file_sees_its_size_head_and_tail(tmp_path: Path) -> None:
    file = tmp_path / "file"
    seen = set()
    for content in (bytes(10**6), bytes(10**6 + 1), b"\1" + bytes(10**6 - 1), bytes(10**6 - 1) + b"\1"):
        file.write_bytes(content)
        seen.add(fingerprint(file))
    assert len(seen) == 4


def test_listing_and_revision_import_neither_torch_nor_numpy_nor_pillow(hundred: Path) -> None:
    code = (
        "import sys; from vqbench_plugins.datasets.specs import FOLDER; FOLDER.revision({'root': sys.argv[1]});"
        "sys.exit(','.join({'torch', 'numpy', 'PIL'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code, hundred], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
