"""``vqbench leaderboard --board rate`` as a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rate_records import curve
from records import make_record, write_record


def vqbench(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "vqbench", "leaderboard", *map(str, arguments)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=cwd,
        env=os.environ | {"COLUMNS": "110", "PYTHONUTF8": "1"},
        check=False,
    )


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for record in curve("a", [20, 22, 24]) + curve("b", [21, 23, 25]):
        write_record(tmp_path / "rates", record)
    write_record(tmp_path / "one", make_record())
    return tmp_path


def test_the_board_and_its_plot(home: Path) -> None:
    done = vqbench("rates", "--board", "rate", "--anchor", "b-8b", "--plot", "p.svg", cwd=home)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("RATE–DISTORTION · photos 64×64 · unet")
    assert "b (anchor)" in done.stdout
    assert "QUALITY" not in done.stdout
    assert "<svg" in (home / "p.svg").read_text()


def test_all_boards_include_it_only_where_there_are_curves(home: Path) -> None:
    assert "RATE–DISTORTION" in vqbench("rates", cwd=home).stdout
    done = vqbench("one", cwd=home)
    assert (done.returncode, done.stderr) == (0, "")
    assert "RATE" not in done.stdout
    assert json.loads(vqbench("one", "--json", cwd=home).stdout)["rate"] is None
    assert json.loads(vqbench("rates", "--json", "--board", "quality", cwd=home).stdout)["rate"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["one", "--board", "rate"], "No method was run at several rates"),
        (["one", "--plot", "x.png"], "No method was run at several rates"),
        (["rates", "--board", "rate", "-q", "a-8b"], "No method was run at several rates"),
        (["rates", "--anchor", "c"], "expected one of a, b"),
        (["rates", "--rate-axis", "actual"], "No record has actual_bits_per_image"),
        (["rates", "--board", "usage", "--plot", "x.png"], "are of the rate board"),
        (["rates", "--plot", "x.pdf"], "ends in .png or .svg"),
        (["rates", "--plot", "no/such/x.png"], "Choose another --plot FILE."),
        (["rates", "--board", "rate", "--sort", "psnr"], "sorted by its own deltas"),
        (["rates", "--board", "all", "--plot", "x.png", "--group", "512"], "--group leaves nothing to plot"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_done_is_one_message_and_exit_code_2(home: Path, arguments: list[str], message: str) -> None:
    done = vqbench(*arguments, cwd=home)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert not list(home.glob("x.*"))


def test_without_curves_nothing_heavy_is_imported(home: Path) -> None:
    code = (
        "import sys\nfrom vqbench.cli import main\n"
        f"main(['leaderboard', {str(home / 'one')!r}], standalone_mode=False)\n"
        "print('heavy:', sorted({'bjontegaard', 'matplotlib', 'numpy', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("heavy: []\n")
