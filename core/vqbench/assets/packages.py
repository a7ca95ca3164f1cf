"""Downloads package files by name, with the clients and mirrors that this machine is configured for; runs nothing in them."""

from __future__ import annotations

import errno
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from vqbench.assets.asset import Package
from vqbench.assets.files import file_sha256
from vqbench.errors import DataError, UnavailableError

__all__ = ["download_package"]

STAND_INS = Path(__file__).with_name("stand_ins")
"""Has a ``setuptools`` for pip to ask for an sdist's metadata, which would otherwise run its ``setup.py``."""


def download_package(package: Package, folder: Path) -> Path:
    """Download a package file into an empty folder and verify it.

    Raises:
        UnavailableError: the client is missing, or does not get the file.
        DataError: it is another file than the one known by this name.
        OSError: the disk is full.
    """
    if package.kind == "npm":
        command, environment = _npm(package, folder), dict(os.environ)
    else:
        command, environment = _pip(package, folder)
    done = subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    path = folder / package.filename
    if done.returncode and any(words in done.stdout for words in ("No space left on device", "ENOSPC")):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if done.returncode or not path.is_file():
        raise UnavailableError(
            f"{command[0] if package.kind == 'npm' else 'pip'} did not get {package.name} {package.version}",
            got=_last_words(done.stdout) or f"exit status {done.returncode}, no {package.filename}",
            hint="Check that it is configured for a registry that has this version.",
        )
    if (sha256 := file_sha256(path)) != package.sha256:
        raise DataError(
            f"The registry's {package.filename} is not the file that is known",
            got=f"sha256 {sha256}",
            expected=f"sha256 {package.sha256}",
            hint="Do not use this registry for it.",
        )
    return path


def _pip(package: Package, folder: Path) -> tuple[list[str], dict[str, str]]:
    if importlib.util.find_spec("pip") is not None:
        pip = [sys.executable, "-m", "pip"]
    elif program := shutil.which("pip3") or shutil.which("pip"):
        pip = [program]
    else:
        raise UnavailableError("pip is not installed", hint=f"Run `{sys.executable} -m ensurepip`.")
    wanted = folder / "wanted.txt"
    wanted.write_text(f"{package.name}=={package.version} --hash=sha256:{package.sha256}\n", encoding="utf-8")
    command = [*pip, "download", "--no-input", "--disable-pip-version-check", "--progress-bar", "off", "--no-deps"]
    command += ["--ignore-requires-python", "--require-hashes", "-r", str(wanted), "-d", str(folder)]
    environment = dict(os.environ)
    if package.kind == "wheel":
        return [*command, "--only-binary", ":all:"], environment
    environment["VQBENCH_STAND_IN"] = f"{package.name}=={package.version}"
    environment["PYTHONPATH"] = os.pathsep.join([str(STAND_INS), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment["PIP_USE_PEP517"] = (
        "1"  # older pips would run setup.py themselves; newer ones do not know this variable
    )
    return [*command, "--no-binary", ":all:", "--no-build-isolation"], environment


def _npm(package: Package, folder: Path) -> list[str]:
    npm = shutil.which("npm")
    if npm is None:
        raise UnavailableError("npm is not installed", hint="Install Node.js, which has it.")
    command = [npm, "pack", f"{package.name}@{package.version}", "--pack-destination", str(folder)]
    return [*command, "--ignore-scripts", "--loglevel", "error"]


def _last_words(output: str) -> str:
    """What a client said went wrong: its last lines that name an error, else its last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower() or "ERR!" in line]
    return " ".join((errors or lines)[-2:])[:600]
