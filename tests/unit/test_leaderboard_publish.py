"""What a run leaves beside its records."""

from __future__ import annotations

from pathlib import Path

import pytest
from records import environment, make_record

from vqbench.errors import ResultsError
from vqbench.leaderboard import write_leaderboard_files
from vqbench.results import ResultsFolder


def test_the_file_says_how_it_was_made_and_where_it_ran(tmp_path: Path) -> None:
    folder = ResultsFolder(tmp_path, "quickstart")
    folder.prepare()
    records = [make_record(where=environment("Some CPU (2 cores)")), make_record(quantizer="vq")]
    shown = write_leaderboard_files(folder, records)
    text = (folder.path / "LEADERBOARD.md").read_text()
    assert text.startswith("# Leaderboard: quickstart\n")
    assert "from the 2 records beside this file" in text
    assert "Some CPU (2 cores), 2 threads, float32, torch 2.9.0" in text
    assert "reconstructions.png" not in text
    assert "| 1 | fsq | unet | 25.00 ±0.50 |" in text
    assert "25.00 ±0.50" in shown
    (folder.path / "reconstructions.png").write_bytes(b"")
    write_leaderboard_files(folder, records)
    assert "](reconstructions.png)" in (folder.path / "LEADERBOARD.md").read_text()


def test_writing_again_changes_nothing(tmp_path: Path) -> None:
    folder = ResultsFolder(tmp_path, "quickstart")
    folder.prepare()
    records = [make_record(quantizer=name, seed=seed) for name in ("fsq", "vq") for seed in (0, 1)]
    first = write_leaderboard_files(folder, records), (folder.path / "LEADERBOARD.md").read_bytes()
    again = write_leaderboard_files(folder, records[::-1]), (folder.path / "LEADERBOARD.md").read_bytes()
    assert again == first


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="cannot be written"):
        write_leaderboard_files(ResultsFolder(tmp_path / "none", "s"), [make_record()])
