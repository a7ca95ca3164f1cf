"""Downloads from a server on this machine."""

import errno
import socket

import pytest
from file_server import serving
from toy_assets import toy_download

from vqbench.assets import downloads
from vqbench.assets.asset import Download
from vqbench.assets.downloads import download
from vqbench.errors import DataError, UnavailableError

DATA = bytes(range(256)) * 1000


@pytest.fixture
def server():
    with serving({"/data.bin": DATA}) as served:
        yield served


@pytest.fixture
def get(server, tmp_path):
    def call(part=None):
        seen = []
        download(part or toy_download(f"{server.url}/data.bin", DATA), tmp_path / "data.bin", lambda *n: seen.append(n))
        return seen

    return call


def test_whole(get, tmp_path):
    seen = get()
    assert (tmp_path / "data.bin").read_bytes() == DATA
    assert [path.name for path in tmp_path.iterdir()] == ["data.bin"]
    assert (seen[0], seen[-1]) == ((0, len(DATA)), (len(DATA), len(DATA)))


def test_one_that_breaks_off_goes_on_by_itself(server, get, tmp_path):
    server.cut_after = [1000, 2000]
    get()
    assert server.asked == [None, "bytes=1000-", "bytes=3000-"]
    assert (tmp_path / "data.bin").read_bytes() == DATA


def test_a_later_download_goes_on(server, get, tmp_path):
    server.cut_after = [1000, 0, 0]
    with pytest.raises(UnavailableError, match=f"stopped early: got 1000 of {len(DATA)} bytes.*continues"):
        get()
    assert not (tmp_path / "data.bin").exists()
    server.asked.clear()
    assert get()[0] == (1000, len(DATA))
    assert server.asked == ["bytes=1000-"]
    assert (tmp_path / "data.bin").read_bytes() == DATA


def test_a_server_that_knows_no_ranges_sends_all_again(server, get, tmp_path):
    (tmp_path / "data.bin.part").write_bytes(b"something else")
    server.ranges = False
    get()
    assert (tmp_path / "data.bin").read_bytes() == DATA


def test_another_file_is_refused_and_removed(server, get, tmp_path):
    server.files["/data.bin"] = b"X" + DATA[1:]
    with pytest.raises(DataError, match="not the file that is known"):
        get()
    assert not list(tmp_path.iterdir())


def test_a_part_of_another_file_does_not_stay(server, get, tmp_path):
    (tmp_path / "data.bin.part").write_bytes(b"X" * 1000)
    with pytest.raises(DataError, match="download it anew"):
        get()
    get()
    assert (tmp_path / "data.bin").read_bytes() == DATA


def test_no_byte_more_than_known_is_written(server, get, tmp_path, monkeypatch):
    server.files["/data.bin"] = DATA + b"more"
    get()
    assert (tmp_path / "data.bin").read_bytes() == DATA


def test_missing_on_the_server(server, get):
    part = toy_download(f"{server.url}/other.bin", DATA)
    with pytest.raises(UnavailableError, match=r"other\.bin cannot be downloaded: got .*404"):
        get(part)


def test_no_server(get):
    with socket.socket() as taken:  # nothing listens there
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(UnavailableError, match=r"refused.*Check the network"):
            get(toy_download(f"http://127.0.0.1:{taken.getsockname()[1]}/data.bin", DATA))


def test_only_the_web(get):
    with pytest.raises(ValueError, match="not an address"):
        get(Download(url="file:///etc/passwd", sha256="0" * 64, size=10))


def test_a_full_disk_is_the_disks_error(get, monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(downloads.os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        get()
