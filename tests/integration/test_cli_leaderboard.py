"""``vqbench leaderboard`` as a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from records import environment, make_record, metric, write_record

NUMBERS = {"psnr": 25.0, "code_efficiency": 0.9, "encode_images_per_second": 100.0}


def vqbench(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    code = "from vqbench.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, "leaderboard", *map(str, arguments)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=cwd,
        env=os.environ | {"COLUMNS": "110", "PYTHONUTF8": "1"},
        check=False,
    )


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "results" / "local"
    for quantizer, psnr in (("fsq", 27.0), ("gq", 28.0)):
        for backbone in ("unet", "vit"):
            numbers = NUMBERS | {"psnr": psnr}
            write_record(folder, make_record(quantizer=quantizer, backbone=backbone, metrics=numbers))
    write_record(folder, make_record(quantizer="other", metrics=NUMBERS, suite="second", where=environment("gpu")))
    return folder


def test_it_ranks_the_default_folder(results: Path) -> None:
    done = vqbench(cwd=results.parents[1])
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert [word in done.stdout for word in ("QUALITY", "USAGE", "THROUGHPUT", "28.00 ±0.50")] == [True] * 4
    assert max(map(len, done.stdout.splitlines())) <= 110


def test_json_rows_are_filtered_and_sorted(results: Path) -> None:
    done = vqbench(results, "--json", "--board", "quality", "-b", "unet", "--suite", "quick*")
    rows = json.loads(done.stdout)["rows"]
    assert [(row["rank"], row["quantizer"], row["backbone"]) for row in rows] == [(1, "gq", "unet"), (2, "fsq", "unet")]
    assert (
        json.loads(
            vqbench(results, "--format", "json", "--board", "quality", "-b", "unet", "--suite", "quick*").stdout
        )["rows"]
        == rows
    )


def test_a_suites_folder_works_too(results: Path) -> None:
    rows = json.loads(vqbench(results / "second", "--json", "--board", "usage").stdout)["rows"]
    assert [row["quantizer"] for row in rows] == ["other"]


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("x.md", "# Leaderboard"),
        ("x.csv", "board,"),
        ("x.json", "{"),
        ("x.html", "<!DOCTYPE html>"),
        ("x.txt", "QUALITY"),
    ],
)
def test_out_writes_the_format_that_the_name_says(results: Path, tmp_path: Path, name: str, start: str) -> None:
    done = vqbench(results, "--out", tmp_path / name)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / name).read_text(encoding="utf-8").startswith(start)


def test_damaged_records_are_named_and_the_rest_is_shown(results: Path) -> None:
    path = write_record(results, make_record(quantizer="bad"), status="no such status")
    (results / "quickstart" / "00000000000000ff.json").write_text("{")
    done = vqbench(results)
    assert done.returncode == 0
    assert "DAMAGED RECORDS (2)" in done.stdout
    assert "28.00" in done.stdout
    assert f"{path} is damaged at 'status'" in done.stderr
    assert "00000000000000ff.json" in done.stderr


def test_unfinished_cells_keep_their_reason(results: Path) -> None:
    write_record(results, make_record(quantizer="slow", failure=("timeout", "longer than 5 s")))
    done = vqbench(results)
    assert done.returncode == 0
    assert "slow × unet · photos · seed 0: timeout at train: RuntimeError: longer than 5 s" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "There is no results folder nowhere"),
        (["empty"], "There are no records in empty"),
        (["results/local", "-q", "fsk"], "Did you mean 'fsq'?"),
        (["results/local", "--sort", "lpips"], "Nothing can be ranked by 'lpips'"),
        (["results/local", "--group", "77"], "matches no group"),
        (["results/local", "--out", "board.pdf"], "does not say which format"),
        (["results/local", "--out", "no/such/folder.md"], "Choose another --out FILE."),
        (["results/local", "--json", "--format", "csv"], "contradict"),
        (["results/local", "--board", "speed"], "speed"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_done_is_one_message_and_exit_code_2(results: Path, arguments: list[str], message: str) -> None:
    (results.parents[1] / "empty").mkdir()
    done = vqbench(*arguments, cwd=results.parents[1])
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_several_seeds_need_neither_torch_nor_numpy(results: Path) -> None:
    for seed in (1, 2):
        write_record(results, make_record(quantizer="gq", seed=seed, metrics={"psnr": metric(20.0 + seed)}))
    code = (
        "import sys\nfrom vqbench.cli import main\n"
        f"main(['leaderboard', {str(results)!r}], standalone_mode=False)\n"
        "heavy = {'torch', 'numpy', 'scipy', 'skimage', 'vqbench_plugins'} & set(sys.modules)\n"
        "print('heavy:', sorted(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "3 seeds" in done.stdout
    assert done.stdout.endswith("heavy: []\n")


def test_damaged_values_are_named_once_and_the_intervals_are_compared_instead(results: Path) -> None:
    folder = results / "quickstart" / "values"
    folder.mkdir()
    for record in (results / "quickstart").glob("*.json"):
        (folder / record.with_suffix(".safetensors").name).write_bytes(b"no such thing")
    done = vqbench(results, "--json", "--board", "quality")
    rows = json.loads(done.stdout)["rows"]
    assert {row["comparison"]["method"] for row in rows if row["comparison"]} == {"Welch's t of intervals"}
    assert 0 < done.stderr.count("are damaged") == len(set(done.stderr.splitlines())) <= 4
    assert done.returncode == 0


def test_help_has_examples() -> None:
    done = vqbench("--help")
    assert done.returncode == 0
    assert "vqbench leaderboard -q 'gq*' -b unet --sort ssim" in done.stdout
