"""Datasets of the Hugging Face hub: where our copy lies, and how it is fetched; light until it fetches."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

from vqbench.assets import asset_folders, is_offline
from vqbench.canonical import content_id
from vqbench.errors import DataError, ParameterError, UnavailableError
from vqbench.specs import Parameters

__all__ = ["fetch_hub", "hub_folder", "hub_revision"]

_REPOSITORY = re.compile(r"[\w.-]{1,96}/[\w.-]{1,96}", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_CONTENT = {"repo": "", "commit": "", "config": "", "train_split": "train", "test_split": "test", "column": "image"}
"""What a copy depends on, and the defaults."""


def hub_revision(parameters: Parameters) -> str:
    """A digest of repository, commit, splits and what is chosen of them.

    Raises:
        ParameterError: repository or commit are not given, or the splits are one.
        UnavailableError: they were not fetched.
    """
    hub_folder(parameters)
    return f"1-{content_id(dict(parameters))}"


def hub_folder(parameters: Parameters) -> Path:
    """The folder of a fetched dataset, with ``train`` and ``test`` in it.

    Raises:
        ParameterError: repository or commit are not given, or the splits are one.
        UnavailableError: it was not fetched.
    """
    name = _name(parameters)
    for _, folder in asset_folders():
        if (folder / name).is_dir():
            return folder / name
    given = " ".join(f"--param {key}={parameters[key]}" for key, usual in _CONTENT.items() if parameters[key] != usual)
    raise UnavailableError(
        f"{parameters['repo']!r} of the Hugging Face hub is not on this machine",
        hint=f"Run `vqbench data fetch hf {given}`.",
    )


def fetch_hub(parameters: Parameters, report: Callable[[str], None]) -> Path:
    """Download a commit of a dataset with the library ``datasets``, and keep the column of images of two splits.

    Code of the repository is never run: the library (4 and later) cannot.

    Raises:
        ParameterError: repository or commit are not given, or the splits are one.
        UnavailableError: ``datasets`` is not installed, the network is forbidden, or the hub cannot be reached.
        DataError: there is no such column or split, or the column does not hold images.
    """
    try:
        return hub_folder(parameters)
    except UnavailableError:
        if is_offline():
            raise
    folder = asset_folders()[0][1]
    target = folder / _name(parameters)
    made = target.with_name(f".fetch-{target.name}")
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    try:
        for split in ("train", "test"):
            report(f"{parameters['repo']}: {parameters[f'{split}_split']}")
            _save(parameters, parameters[f"{split}_split"], made / "cache", made / "made" / split)
        (made / "made").rename(target)
    except OSError as error:
        raise UnavailableError(
            f"{parameters['repo']!r} of the Hugging Face hub cannot be fetched",
            got=error,
            hint="Check the name, the network and the disk, then run it again.",
        ) from error
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return target


def _save(parameters: Parameters, split: str, cache: Path, target: Path) -> None:
    try:
        import datasets
    except ImportError as error:
        raise UnavailableError(
            "the dataset 'hf' needs the library datasets", hint="pip install 'vqbench[hf]'"
        ) from error
    column = parameters["column"]
    if Path(parameters["repo"]).exists():  # the library would take that, whatever the commit
        raise DataError(f"a folder {parameters['repo']!r} lies in the current one", hint="Run it from another folder.")
    try:
        data = datasets.load_dataset(
            parameters["repo"],
            name=parameters["config"] or None,
            split=split,
            revision=parameters["commit"],
            cache_dir=str(cache),
        )
        if not isinstance(data.features.get(column), datasets.Image):
            raise DataError(
                f"{parameters['repo']!r} has no column of images of that name", got=column, expected=list(data.features)
            )
        # as they are in the repository: they are decoded here, like any other file
        data = data.select_columns([column]).cast_column(column, datasets.Image(decode=False))
        data.save_to_disk(str(target))
    except ValueError as error:  # no such split or configuration
        raise DataError(f"{parameters['repo']!r} of the Hugging Face hub does not have that", got=error) from error


def _name(parameters: Parameters) -> str:
    """The folder's name below a folder of assets."""
    repo, commit = parameters["repo"], parameters["commit"]
    if not _REPOSITORY.fullmatch(repo) or ".." in repo:
        raise ParameterError(
            "repo is not a dataset of the Hugging Face hub",
            got=repr(repo),
            expected="owner/name",
            hint="Set repo and commit.",
        )
    if not _COMMIT.fullmatch(commit):
        raise ParameterError(
            "commit is not a commit",
            got=repr(commit),
            expected="40 hexadecimal digits",
            hint=f"Copy one from https://huggingface.co/datasets/{repo}/commits/main",
        )
    if parameters["train_split"] == parameters["test_split"]:
        raise ParameterError("train_split and test_split are the same", got=parameters["test_split"])
    return f"huggingface-{content_id({key: parameters[key] for key in _CONTENT})}"
