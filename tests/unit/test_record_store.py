import json
import os
import stat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from records import make_record, metric, write_record

from vqbench.errors import RecordError, ResultsError
from vqbench.results import CellRecord, MetricRecord, ResultsFolder, read_records


def test_a_record_survives_the_way_to_disk_and_back(tmp_path):
    folder = ResultsFolder(tmp_path, "quickstart")
    folder.prepare()
    record = make_record(metrics={"psnr": 24.5})
    folder.write(record)
    assert folder.read(record.cell_id) == record
    assert read_records(tmp_path) == ([record], [])
    assert read_records(folder.path) == ([record], [])


@settings(max_examples=50)
@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(0, 1 << 40), st.text(max_size=40))
def test_numbers_and_texts_come_back_as_they_were(value, n, reason):
    number = MetricRecord(value=value, n=n, unit="dB", better="higher", board="quality", reason=reason)
    record = make_record(metrics={"psnr": number})
    assert CellRecord.model_validate_json(record.model_dump_json()) == record


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_cannot_be_recorded(value):
    with pytest.raises(ValidationError, match="finite"):
        metric(value)


def test_a_null_value_needs_a_reason():
    with pytest.raises(ValidationError, match="reason"):
        MetricRecord(value=None, unit="dB", better="higher", board="quality")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text[: len(text) // 2], "EOF"),
        (lambda text: "", "EOF"),
        (lambda text: text.replace('"ok"', '"fine"'), "status"),
        (lambda text: text.replace('"schema_version": 1', '"schema_version": 2'), "schema_version"),
        (lambda text: text.replace('"seed": 0', '"seed": "0"'), "seed"),
        (lambda text: text.replace('"seed": 0', '"seed": 0, "surprise": 1'), "surprise"),
        (lambda text: text.replace('"steps": 1000', '"steps": NaN'), "NaN"),
        (lambda text: text.replace('"steps": 1000', '"steps": -Infinity'), "Infinity"),
        (lambda text: "[" * 100_000, "recursion"),
    ],
)
def test_a_damaged_record_is_named_with_the_field_and_costs_no_other(tmp_path, damage, message):
    good, bad = make_record(seed=1), make_record(seed=0)
    write_record(tmp_path, good)
    path = write_record(tmp_path, bad)
    text = path.read_text()
    damaged = damage(json.dumps(json.loads(text), indent=1))
    assert damaged != text
    path.write_text(damaged)
    records, broken = read_records(tmp_path)
    assert records == [good]
    assert [b.path for b in broken] == [path]
    assert message in broken[0].reason
    assert str(path) in broken[0].reason


def test_a_record_under_another_cells_name_is_not_taken_for_it(tmp_path):
    path = write_record(tmp_path, make_record())
    path.rename(path.with_name("0123456789abcdef.json"))
    records, broken = read_records(tmp_path)
    assert not records
    assert "another cell" in broken[0].reason


def test_a_huge_file_is_not_read(tmp_path):
    path = tmp_path / "0123456789abcdef.json"
    with path.open("wb") as file:
        file.truncate(5 << 20)
    assert "too large" in read_records(tmp_path)[1][0].reason


def test_other_files_are_not_taken_for_records(tmp_path):
    (tmp_path / "notes.json").write_text("{}")
    (tmp_path / ".0123456789abcdef.json.x").write_text("{}")
    assert read_records(tmp_path) == ([], [])


def test_writing_replaces_the_old_record_and_leaves_nothing_else(tmp_path):
    folder = ResultsFolder(tmp_path, "s")
    folder.prepare()
    first = make_record(metrics={"psnr": 1.0})
    folder.write(first)
    folder.write(first.model_copy(update={"seconds": 9.0}))
    assert folder.read(first.cell_id).seconds == 9.0
    assert [p.name for p in folder.path.iterdir() if p.is_file()] == [f"{first.cell_id}.json"]
    assert stat.S_IMODE(folder.record_path(first.cell_id).stat().st_mode) == 0o644


def test_a_full_disk_leaves_the_old_record_whole(tmp_path, monkeypatch):
    folder = ResultsFolder(tmp_path, "s")
    folder.prepare()
    record = make_record()
    folder.write(record)

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ResultsError, match="No space left on device"):
        folder.write(record.model_copy(update={"seconds": 9.0}))
    monkeypatch.undo()
    assert folder.read(record.cell_id) == record
    assert [p.name for p in folder.path.iterdir() if p.is_file()] == [f"{record.cell_id}.json"]


def test_a_missing_results_folder_is_a_clear_error(tmp_path):
    with pytest.raises(ResultsError, match="no results folder"):
        read_records(tmp_path / "none")


def test_a_folder_that_is_a_file_cannot_be_prepared(tmp_path):
    (tmp_path / "results").write_text("")
    with pytest.raises(ResultsError, match="--results DIR"):
        ResultsFolder(tmp_path / "results", "s").prepare()


def test_a_second_run_is_kept_out_while_the_first_holds_the_folder(tmp_path):
    folder = ResultsFolder(tmp_path, "s")
    folder.prepare()
    with folder.locked(), pytest.raises(ResultsError, match="Another vqbench run"), folder.locked():
        pass
    with folder.locked():
        pass


def test_a_damaged_record_read_by_name_raises(tmp_path):
    folder = ResultsFolder(tmp_path, "s")
    folder.prepare()
    assert folder.read("0" * 16) is None
    folder.record_path("0" * 16).write_text("{")
    with pytest.raises(RecordError, match="Delete it and run again"):
        folder.read("0" * 16)
