"""The results we publish are readable, whole, and what their leaderboard was made from."""

import tempfile
from pathlib import Path

import pytest

from vqbench.leaderboard.publish import LEADERBOARD_NAME, write_leaderboard_files
from vqbench.results import ResultsFolder, read_records

PUBLISHED = Path(__file__).parents[2] / "results" / "published"
SUITES = sorted(path.parent.name for path in PUBLISHED.glob(f"*/{LEADERBOARD_NAME}"))


def test_the_quickstart_is_published():
    assert "quickstart" in SUITES


@pytest.mark.parametrize("suite", SUITES)
def test_published_records_are_sound_and_their_leaderboard_is_made_of_them(suite, tmp_path):
    records, broken = read_records(PUBLISHED / suite)
    assert records
    assert not broken
    copy = ResultsFolder(tmp_path, suite)
    copy.prepare()
    for file in (PUBLISHED / suite).iterdir():
        (copy.path / file.name).write_bytes(file.read_bytes())
    write_leaderboard_files(copy, records, broken)
    made, published = ((folder / LEADERBOARD_NAME).read_text() for folder in (copy.path, PUBLISHED / suite))
    assert made == published


@pytest.mark.parametrize("suite", SUITES)
def test_published_records_name_no_place_of_this_machine(suite):
    for path in (PUBLISHED / suite).glob("*.json"):
        text = path.read_text()
        for place in (Path.home(), tempfile.gettempdir(), PUBLISHED.parents[1]):
            assert f"{place}/" not in text
