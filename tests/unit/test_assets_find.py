"""Looking for assets on this machine."""

import hashlib

import pytest
import torch
from toy_assets import toy_asset, toy_file

from vqbench.assets import WEIGHTS, AssetFile, AssetFolder, Form, find, locate, missing_weights, present
from vqbench.errors import DataError, UnavailableError, UsageError
from vqbench.worker.weights.state_file import tensor_digest

DATA = b"weights" * 100
FORM = Form(files=(toy_file("toy.bin", DATA),))
ASSET = toy_asset(FORM)


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """The explicit folder, our cache's assets, torch hub's cache: empty."""
    explicit, cache, hub = tmp_path / "explicit", tmp_path / "cache", tmp_path / "torch"
    monkeypatch.setenv("VQBENCH_ASSETS", str(explicit))
    monkeypatch.setenv("VQBENCH_CACHE", str(cache))
    monkeypatch.setenv("TORCH_HOME", str(hub))
    places = explicit, cache / "assets", hub / "hub" / "checkpoints"
    for place in places:
        place.mkdir(parents=True)
    return places


class TestFind:
    def test_nothing_here(self, folders):
        assert find(ASSET) is None
        assert not present(ASSET)

    @pytest.mark.parametrize(("place", "provider"), [(0, "explicit path"), (1, "cache")])
    def test_names_the_provider(self, folders, place, provider):
        (folders[place] / "toy.bin").write_bytes(DATA)
        located = find(ASSET)
        assert (located.provider, located.path) == (provider, folders[place] / "toy.bin")
        assert located.sha256 == hashlib.sha256(DATA).hexdigest()
        assert present(ASSET)

    def test_the_explicit_folder_comes_first(self, folders):
        for place in folders:
            (place / "toy.bin").write_bytes(DATA)
        assert find(ASSET).provider == "explicit path"

    def test_torch_hub_counts_only_for_forms_that_say_so(self, folders):
        (folders[2] / "toy.bin").write_bytes(DATA)
        assert find(ASSET) is None
        located = find(toy_asset(Form(files=FORM.files, torch_hub=True)))
        assert (located.provider, located.path) == ("torch hub cache", folders[2] / "toy.bin")

    def test_a_wrong_file_in_torch_hub_is_passed_over(self, folders):
        (folders[2] / "toy.bin").write_bytes(b"half a download")
        assert find(toy_asset(Form(files=FORM.files, torch_hub=True))) is None

    def test_a_flipped_byte_in_the_explicit_folder_is_an_error(self, folders):
        (folders[0] / "toy.bin").write_bytes(b"W" + DATA[1:])
        (folders[1] / "toy.bin").write_bytes(DATA)
        with pytest.raises(DataError) as caught:
            find(ASSET)
        message = str(caught.value)
        assert str(folders[0] / "toy.bin") in message
        assert hashlib.sha256(DATA).hexdigest() in message
        assert hashlib.sha256(b"W" + DATA[1:]).hexdigest() in message
        assert f"`vqbench weights fetch toy --assets {folders[0]}`" in message

    def test_the_same_tensors_in_another_container(self, folders):
        state = {"a": torch.arange(3.0)}
        asset = toy_asset(Form(files=(toy_file("toy.pth", DATA, tensors=tensor_digest(state)),)))
        torch.save(state, folders[1] / "toy.pth", _use_new_zipfile_serialization=False)
        assert present(asset)
        assert find(asset).sha256 == hashlib.sha256((folders[1] / "toy.pth").read_bytes()).hexdigest()
        torch.save({"a": torch.arange(4.0)}, folders[1] / "toy.pth")
        with pytest.raises(DataError):
            find(asset)

    def test_a_damaged_file_in_the_cache_is_an_error_where_nothing_else_is_here(self, folders):
        (folders[1] / "toy.bin").write_bytes(DATA[:-1])
        with pytest.raises(DataError, match="damaged"):
            find(ASSET)

    def test_a_folder_under_a_files_name(self, folders):
        (folders[0] / "toy.bin").mkdir()
        with pytest.raises(DataError, match="cannot be read"):
            find(ASSET)

    def test_the_first_form_is_preferred_in_one_place(self, folders):
        asset = toy_asset(Form(files=(toy_file("a.bin", b"a"),), note="A"), Form(files=(toy_file("b.bin", b"b"),)))
        (folders[1] / "b.bin").write_bytes(b"b")
        assert find(asset).path.name == "b.bin"
        (folders[1] / "a.bin").write_bytes(b"a")
        located = find(asset)
        assert (located.path.name, located.details["weights_note"]) == ("a.bin", "A")

    def test_several_files_are_all_needed(self, folders):
        asset = toy_asset(Form(files=(toy_file("set/a.bin", b"a"), toy_file("set/b.bin", b"bb"))))
        (folders[1] / "set").mkdir()
        (folders[1] / "set" / "a.bin").write_bytes(b"a")
        assert find(asset) is None
        (folders[1] / "set" / "b.bin").write_bytes(b"bb")
        located = find(asset)
        assert located.path == folders[1]
        lines = "".join(f"{hashlib.sha256(v).hexdigest()}  set/{k}.bin\n" for k, v in (("a", b"a"), ("b", b"bb")))
        assert located.sha256 == hashlib.sha256(lines.encode()).hexdigest()

    def test_a_folder_by_its_listing(self, folders):
        photos = folders[1] / "photos"
        photos.mkdir()
        for name in ("b.jpg", "a.jpg", ".hidden"):
            (photos / name).write_bytes(name.encode())
        listing = "".join(f"{hashlib.sha256(name.encode()).hexdigest()}  {name}\n" for name in ("a.jpg", "b.jpg"))
        digest = hashlib.sha256(listing.encode()).hexdigest()
        asset = toy_asset(Form(files=(AssetFolder(path="photos", sha256=digest, files=2, size=10),)))
        assert present(asset)
        assert find(asset).path == photos
        (photos / "c.jpg").touch()
        assert not present(asset)
        with pytest.raises(DataError):
            find(asset)


@pytest.mark.parametrize("path", ["../toy.bin", "/toy.bin", "a/../../b", "", "a\\b"])
def test_no_path_leaves_the_folder(path):
    with pytest.raises(ValueError, match="not a path"):
        AssetFile(path=path, sha256="0" * 64, size=1)


class TestWeights:
    def test_pins_are_whole(self):
        for asset in WEIGHTS.values():
            for form in asset.forms:
                pinned = [*form.files, *(part for provider in form.providers for part in provider.parts)]
                assert all(len(file.sha256) == 64 and file.size > 1000 for file in pinned)

    def test_locate_says_what_to_run(self, folders):
        with pytest.raises(UnavailableError, match=r"`vqbench weights fetch lpips_alex`"):
            locate("lpips_alex")

    def test_locate_of_a_damaged_file_is_unavailable(self, folders):
        (folders[0] / "weights-inception-2015-12-05-6726825d.pth").write_bytes(b"<html>")
        with pytest.raises(
            UnavailableError, match=r"6726825d\.pth is damaged.*`vqbench weights fetch inception --assets"
        ):
            locate("inception")

    def test_locate_of_an_unknown_name(self):
        with pytest.raises(UsageError, match="Did you mean 'lpips_alex'"):
            locate("lpips-alex")

    def test_missing_goes_by_name_and_size(self, folders):
        assert missing_weights(["inception", "lpips_vgg"]) == ["inception", "lpips_vgg"]
        with (folders[0] / "weights-inception-2015-12-05-6726825d.pth").open("wb") as file:
            file.truncate(95_628_359)
        assert missing_weights(["inception", "lpips_vgg"]) == ["lpips_vgg"]
