"""``vqbench leaderboard --with-published`` as a process, with the built-in numbers and a third party's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from records import make_record, write_record

PLUGIN = """
from pathlib import Path
from vqbench import PublishedSpec, hookimpl

@hookimpl
def vqbench_published():
    for name in ("good", "broken"):
        yield PublishedSpec(name=name, summary="numbers", path=Path(__file__).parent / f"{name}.toml")
"""
GOOD = """
schema = 1
sources.s = { name = "a table", kind = "paper" }
protocols.p = { dataset = "textures", images = "test split", crop = "none" }
metrics.psnr = { name = "psnr", unit = "dB", better = "higher", definition = "as printed" }
[[tables]]
title = "Textures"
protocol = "p"
source = "s"
rows = [{ method = "third-party-vq", values = { psnr = 43.21 } }]
"""


def vqbench(
    *arguments: str | Path, cwd: Path, path: Path | None = None, **env: str
) -> subprocess.CompletedProcess[str]:
    imports = os.pathsep.join(filter(None, [str(path) if path else "", os.environ.get("PYTHONPATH", "")]))
    return subprocess.run(
        [sys.executable, "-c", "from vqbench.cli import main; main()", "leaderboard", *map(str, arguments)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=cwd,
        env=os.environ | {"COLUMNS": "140", "PYTHONUTF8": "1", "PYTHONPATH": imports} | env,
        check=False,
    )


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "results" / "local"
    write_record(folder, make_record(quantizer="gq", metrics={"psnr": 28.0}))
    write_record(folder, make_record(quantizer="fsq", metrics={"psnr": 27.0}))
    return folder


@pytest.fixture
def third_party(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    info = folder / "numbers_plugin-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: numbers-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[vqbench]\nnumbers = numbers_plugin\n")
    (folder / "numbers_plugin.py").write_text(PLUGIN)
    (folder / "good.toml").write_text(GOOD)
    (folder / "broken.toml").write_text(GOOD.replace('kind = "paper"', 'kind = "rumour"'))
    return folder


def test_published_numbers_follow_ours_and_are_filtered_with_them(results: Path, tmp_path: Path) -> None:
    done = vqbench("-q", "gq", "--with-published", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    ours, _, published = done.stdout.partition("PUBLISHED NUMBERS")
    assert "28.00" in ours
    assert "27.61" not in ours
    assert "27.61" in published
    assert "gq-figure-1" in published
    for other in ("fsq", "bsq", "maskgit"):
        assert f"\n{other} " not in done.stdout


def test_json_ranks_ours_and_lists_theirs(results: Path, tmp_path: Path) -> None:
    document = json.loads(vqbench("--json", "--with-published", "--board", "quality", cwd=tmp_path).stdout)
    assert [(row["rank"], row["quantizer"]) for row in document["rows"]] == [(1, "gq"), (2, "fsq")]
    assert len(document["published"]) > 200
    assert {row["status"] for row in document["published"]} == {"verified", "secondary"}
    assert json.loads(vqbench("--json", cwd=tmp_path).stdout)["published"] == []


def test_they_can_be_read_before_anything_ran(tmp_path: Path) -> None:
    done = vqbench("-q", "bsq", "-b", "vit", "--with-published", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "26.5282" in done.stdout
    assert vqbench(cwd=tmp_path).returncode == 2
    named = vqbench("nowhere", "--with-published", cwd=tmp_path)
    assert (named.returncode, "There is no results folder nowhere" in named.stderr) == (2, True)


def test_a_third_partys_numbers_are_shown_and_its_broken_file_costs_only_itself(
    results: Path, third_party: Path, tmp_path: Path
) -> None:
    done = vqbench("-q", "third-party-vq", "--with-published", cwd=tmp_path, path=third_party)
    assert done.returncode == 0, done.stderr
    assert "43.21" in done.stdout
    assert "warning: the published numbers numbers/broken" in done.stderr
    assert "'sources.s.kind' is malformed" in done.stderr
    strict = vqbench("--with-published", cwd=tmp_path, path=third_party, VQBENCH_STRICT_PLUGINS="1")
    assert (strict.returncode, "Traceback" in strict.stderr) == (2, False)


def test_what_matches_nothing_is_a_usage_error(results: Path, tmp_path: Path) -> None:
    done = vqbench("-q", "maskgit-vqgam", "--with-published", cwd=tmp_path)
    assert done.returncode == 2
    assert "Did you mean 'maskgit-vqgan'" in done.stderr
