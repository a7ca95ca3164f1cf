"""The results folder: one JSON record per cell, checkpoints and logs beside them.

::

    RESULTS/<suite>/<cell>.json             records
    RESULTS/<suite>/<id>.benchmark.json     imported benchmarks
    RESULTS/<suite>/LEADERBOARD.md          what a run prints at its end
    RESULTS/<suite>/reconstructions.png     originals and reconstructions
    RESULTS/<suite>/rate.png                quality over rate, where methods were run at several rates
    RESULTS/<suite>/samples/<cell>.png      the cell's part of that picture
    RESULTS/<suite>/values/<cell>.safetensors   the metrics' values of each test image
    RESULTS/<suite>/checkpoints/<unit>/     trained weights
    RESULTS/<suite>/logs/<job>.log          what a worker printed
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from vqbench.bounded import read_bounded
from vqbench.errors import RecordError, ResultsError
from vqbench.results.record import CellRecord

__all__ = [
    "RECORD_NAME",
    "BrokenRecord",
    "ResultsFolder",
    "read_all",
    "read_record",
    "read_records",
    "read_strictly",
    "write_atomically",
]

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")

MAX_RECORD_BYTES = 4 << 20
RECORD_NAME = re.compile(r"[0-9a-f]{16}\.json")


@dataclass(frozen=True, kw_only=True)
class BrokenRecord:
    """A file that should be a record and is not."""

    path: Path
    reason: str


class ResultsFolder:
    """Where the records, checkpoints and logs of one suite lie.

    Args:
        results: the results folder.
        suite: the suite's name, a plain folder name.
    """

    def __init__(self, results: Path, suite: str) -> None:
        self.path = results / suite

    def record_path(self, cell_id: str) -> Path:
        return self.path / f"{cell_id}.json"

    def checkpoint_path(self, unit_id: str) -> Path:
        """The folder of a train unit's checkpoints."""
        return self.path / "checkpoints" / unit_id

    def log_path(self, job: str) -> Path:
        return self.path / "logs" / f"{job}.log"

    def sample_path(self, cell_id: str) -> Path:
        """The picture of a cell's reconstructions."""
        return self.path / "samples" / f"{cell_id}.png"

    def values_path(self, cell_id: str) -> Path:
        """The values of each test image behind a cell's means."""
        return self.path / "values" / f"{cell_id}.safetensors"

    def prepare(self) -> None:
        """Make the folder, and see that it can be written.

        Raises:
            ResultsError: it cannot.
        """
        try:
            for name in ("checkpoints", "logs", "samples", "values"):
                (self.path / name).mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path):
                pass
        except OSError as error:
            raise ResultsError(
                f"Results folder {self.path} cannot be written",
                got=error.strerror,
                hint="Choose another with --results DIR.",
            ) from error

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder against a second run.

        Raises:
            ResultsError: another run holds it.
        """
        with (self.path / ".lock").open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise ResultsError(
                    f"Another vqbench run is using {self.path}",
                    hint="Wait for it, or choose another --results DIR.",
                ) from error
            yield

    def write(self, record: CellRecord) -> Path:
        """Write a record atomically: a reader sees the old one or the new one, whole.

        Raises:
            ResultsError: the disk is full or the folder cannot be written; an older record is left as it was.
        """
        path = self.record_path(record.cell_id)
        write_atomically(path, (record.model_dump_json(indent=1) + "\n").encode())
        return path

    def read(self, cell_id: str) -> CellRecord | None:
        """The record of a cell, or None if there is none.

        Raises:
            RecordError: there is one and it is damaged.
        """
        path = self.record_path(cell_id)
        return read_record(path) if path.exists() else None


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file's content in one step that survives a crash.

    Raises:
        ResultsError: it cannot be written.
    """
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(name, 0o644)
            os.replace(name, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise
    except OSError as error:
        raise ResultsError(
            f"{path} cannot be written", got=error.strerror, hint="Make room or choose another --results DIR."
        ) from error


def read_record(path: Path) -> CellRecord:
    """Read one record.

    Raises:
        RecordError: unreadable, too large, not JSON, of another schema, or wrong in a field.
    """
    record = read_strictly(path, CellRecord)
    if path.name != f"{record.cell_id}.json":
        raise RecordError(
            f"Record {path} holds another cell", got=record.cell_id, hint="Restore its name or delete it."
        )
    return record


def read_strictly(path: Path, model: type[M]) -> M:
    """Read a file of strict JSON, of at most 4 MiB, as what it should be.

    Raises:
        RecordError: unreadable, too large, not JSON, of another schema, or wrong in a field.
    """
    raw = read_bounded(path, "Record", MAX_RECORD_BYTES, RecordError)
    if b"NaN" in raw or b"Infinity" in raw:
        _refuse_constants(path, raw)
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise RecordError(
            f"Record {path} is damaged" + (f" at {where!r}" if where else ""),
            got=first["msg"],
            hint="Delete it and run again.",
        ) from None


def _refuse_constants(path: Path, raw: bytes) -> None:
    """NaN and Infinity are no JSON, yet most parsers take them in free-form parts."""

    def refuse(constant: str) -> None:
        raise RecordError(
            f"Record {path} is damaged", got=constant, expected="strict JSON", hint="Delete it and run again."
        )

    with contextlib.suppress(ValueError):  # whatever else is wrong, the schema says
        json.loads(raw, parse_constant=refuse)


def read_records(results: Path) -> tuple[list[CellRecord], list[BrokenRecord]]:
    """All records of a results folder (of one suite or of many), and the files that are damaged.

    Raises:
        ResultsError: there is no such folder, or it cannot be read.
    """
    return read_all(results, RECORD_NAME, read_record)


def read_all(results: Path, name: re.Pattern[str], read: Callable[[Path], T]) -> tuple[list[T], list[BrokenRecord]]:
    """What ``read`` makes of all files of that name in a results folder (of one suite or of many), and the damaged ones.

    Raises:
        ResultsError: there is no such folder, or it cannot be read.
    """
    if not results.is_dir():
        raise ResultsError(
            f"There is no results folder {results}", hint="`vqbench run` makes one; or name another folder."
        )
    records: list[T] = []
    broken: list[BrokenRecord] = []
    with _without_collector():
        for path in _files(results, name):
            try:
                records.append(read(path))
            except RecordError as error:
                broken.append(BrokenRecord(path=path, reason=str(error)))
    return records, broken


def _files(results: Path, name: re.Pattern[str]) -> list[Path]:
    found = []
    try:
        for folder in (results, *sorted(p for p in results.iterdir() if p.is_dir() and not p.is_symlink())):
            with os.scandir(folder) as entries:
                found += [folder / e.name for e in entries if name.fullmatch(e.name) and e.is_file()]
    except OSError as error:
        raise ResultsError(f"{error.filename or results} cannot be read", got=error.strerror) from error
    return sorted(found)


@contextlib.contextmanager
def _without_collector() -> Iterator[None]:
    """Thousands of records make the garbage collector go through all of them again and again: three times the work."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
