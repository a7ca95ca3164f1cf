"""Package files by name, with the real pip on a folder, and a stand-in for npm."""

import io
import os
import sys
import tarfile
import zipfile

import pytest
from toy_assets import toy_package

from vqbench.assets.packages import download_package
from vqbench.errors import DataError, UnavailableError

SETUP = """\
import pathlib
pathlib.Path({marker!r}).touch()
from setuptools import setup
setup(name="toy", version="1.0")
"""


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder that pip takes packages from, and nowhere else."""
    folder = tmp_path / "index"
    folder.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return folder


@pytest.fixture
def into(tmp_path):
    folder = tmp_path / "into"
    folder.mkdir()
    return folder


def sdist(marker):
    """A source archive whose ``setup.py`` leaves a trace when it runs."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in (
            ("setup.py", SETUP.format(marker=str(marker))),
            ("PKG-INFO", "Metadata-Version: 1.0\nName: toy\nVersion: 1.0\n"),
        ):
            info = tarfile.TarInfo(f"toy-1.0/{name}")
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()


def wheel():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = "toy-1.0.dist-info"
        archive.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: toy\nVersion: 1.0\nRequires-Dist: nonesuch\n"
        )
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return buffer.getvalue()


def test_wheel_without_what_it_depends_on(index, into):
    package = toy_package(data := wheel())
    (index / package.filename).write_bytes(data)
    assert download_package(package, into).read_bytes() == data


def test_no_code_of_an_sdist_runs(index, into, tmp_path):
    marker = tmp_path / "setup.py-ran"
    package = toy_package(data := sdist(marker), "sdist", "toy-1.0.tar.gz")
    (index / package.filename).write_bytes(data)
    assert download_package(package, into).read_bytes() == data
    assert not marker.exists()


def test_another_file_of_that_name_is_refused(index, into):
    package = toy_package(b"what it should be")
    (index / package.filename).write_bytes(wheel())
    with pytest.raises(UnavailableError, match=r"pip did not get toy 1\.0: got .*(?i:hash)"):
        download_package(package, into)


def test_not_in_the_index(index, into):
    with pytest.raises(UnavailableError, match=r"pip did not get toy 1\.0: got .*No matching distribution.*registry"):
        download_package(toy_package(b""), into)


class TestNpm:
    @pytest.fixture
    def npm(self, tmp_path, monkeypatch):
        """Writes what it is told by ``TOY_DATA`` to where it is asked to, and keeps its arguments."""
        program = tmp_path / "bin" / "npm"
        program.parent.mkdir()
        program.write_text(
            f"#!{sys.executable}\nimport os, pathlib, sys\n"
            f"pathlib.Path({str(tmp_path / 'arguments')!r}).write_text(' '.join(sys.argv[1:]))\n"
            "if 'TOY_DATA' not in os.environ:\n    sys.exit('npm ERR! 404 Not Found')\n"
            "folder = pathlib.Path(sys.argv[sys.argv.index('--pack-destination') + 1])\n"
            "(folder / 'toy-1.0.tgz').write_text(os.environ['TOY_DATA'])\n"
        )
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(program.parent))
        return tmp_path / "arguments"

    def test_without_scripts(self, npm, into, monkeypatch):
        monkeypatch.setenv("TOY_DATA", "toy")
        assert download_package(toy_package(b"toy", "npm", "toy-1.0.tgz"), into).read_bytes() == b"toy"
        assert npm.read_text().startswith("pack toy@1.0 ")
        assert "--ignore-scripts" in npm.read_text()

    def test_another_file(self, npm, into, monkeypatch):
        monkeypatch.setenv("TOY_DATA", "something else")
        with pytest.raises(DataError, match=r"registry's toy-1\.0\.tgz is not the file"):
            download_package(toy_package(b"toy", "npm", "toy-1.0.tgz"), into)

    def test_not_there(self, npm, into):
        with pytest.raises(UnavailableError, match="got npm ERR! 404"):
            download_package(toy_package(b"toy", "npm", "toy-1.0.tgz"), into)

    def test_full_disk(self, npm, into, monkeypatch):
        npm.with_name("bin").joinpath("npm").write_text("#!/bin/sh\necho npm ERR! code ENOSPC\nexit 1\n")
        with pytest.raises(OSError, match="No space left"):
            download_package(toy_package(b"toy", "npm", "toy-1.0.tgz"), into)

    def test_not_installed(self, into, monkeypatch):
        monkeypatch.setenv("PATH", "")
        with pytest.raises(UnavailableError, match="npm is not installed"):
            download_package(toy_package(b"toy", "npm", "toy-1.0.tgz"), into)
