"""Each kind of mistake: one clear message on standard error, no traceback, the right exit code, nothing lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from PIL import Image

GOOD = """
schema = 1
name = "small"
equal_bits = true
[data]
name = "photos"
image_size = 64
[[quantizers]]
name = "fsq"
params = { levels = [8, 8, 4, 4] }
[[backbones]]
name = "unet"
preset = "tiny"
[recipe]
steps = 0
"""


def vqbench(*arguments, cwd, expect):
    environment = os.environ | {"COLUMNS": "140"}
    done = subprocess.run(
        [sys.executable, "-m", "vqbench", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment,
        timeout=120,
        check=False,
    )
    assert done.returncode == expect, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return done


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ('name = "fsq"', 'name = "fssq"', ["no quantizer", "'fssq'", "Did you mean 'fsq'?"]),
        ("steps = 0", "stepz = 0", ["small.toml", "'recipe.stepz'", "Did you mean 'steps'?"]),
        ("steps = 0", 'steps = "many"', ["small.toml", "'recipe.steps'", "got 'many'", "integer"]),
        ("levels = [8, 8, 4, 4]", "levels = [8, 1]", ["small.toml", "levels", "got"]),
        ("levels = [8, 8, 4, 4]", "level = [8]", ["small.toml", "Did you mean 'levels'?"]),
        ("image_size = 64", "image_size = 60", ["small.toml", "divisible", "60"]),
        ('preset = "tiny"', 'preset = "tinny"', ["preset", "Did you mean 'tiny'?"]),
        ("equal_bits = true", "equal_bits = 512", ["bits per image are unequal", "got fsq 640", "expected 512"]),
        ("schema = 1", "schema = ", ["small.toml", "not valid TOML", "line 2"]),
        ('name = "small"', 'name = "../../small"', ["small.toml", "'name'"]),
    ],
)
@pytest.mark.parametrize("subcommand", ["run", "plan"])
def test_a_mistake_in_a_suite_is_one_message_and_exit_code_2(tmp_path, subcommand, old, new, parts):
    assert old in GOOD
    (tmp_path / "small.toml").write_text(GOOD.replace(old, new, 1))
    done = vqbench(subcommand, "small.toml", cwd=tmp_path, expect=2)
    assert done.stderr.startswith("vqbench: error: ")
    assert len(done.stderr.strip().splitlines()) == 1
    for part in parts:
        assert part in done.stderr
    assert done.stdout == ""
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["run", "quikstart"], "Did you mean 'quickstart'"),
        (["run", "nowhere.toml"], "no suite file nowhere.toml"),
        (["run", "-q", "fssq"], "Did you mean 'fsq'"),
        (["run", "-s", "99"], "not a seed"),
        (["run", "--set", "recipe.steps"], "key.path=value"),
        (["run", "--jobs", "0"], "--jobs"),
        (["rum"], "Did you mean 'run'"),
        (["leaderboard", "nowhere"], "no results folder"),
        (["show", "fsk"], "Did you mean 'fsq'"),
        (["run", "--plugin", "missing.py"], "missing.py"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_message_and_exit_code_2(tmp_path, arguments, part):
    done = vqbench(*arguments, cwd=tmp_path, expect=2)
    assert part in done.stderr


def test_an_unwritable_results_folder_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    done = vqbench("run", "--results", "file/results", cwd=tmp_path, expect=2)
    assert "file/results" in done.stderr
    assert "--results DIR" in done.stderr


def test_an_unknown_device_fails_the_cells_with_the_way_out(tmp_path):
    (tmp_path / "small.toml").write_text(GOOD)
    done = vqbench("run", "small.toml", "--device", "quantum", cwd=tmp_path, expect=1)
    assert "--device cpu" in done.stderr


def test_missing_data_skips_with_the_way_to_get_it(tmp_path):
    (tmp_path / "small.toml").write_text(GOOD.replace('name = "photos"', 'name = "folder"'))
    done = vqbench("plan", "small.toml", cwd=tmp_path, expect=0)
    assert "--set data.params.root=" in done.stdout
    done = vqbench("run", "small.toml", cwd=tmp_path, expect=2)
    assert "--set data.params.root=" in done.stderr


def test_debug_shows_the_traceback(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "vqbench", "--debug", "run", "nowhere.toml"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 2
    assert "Traceback" in done.stderr


def test_unreadable_files_of_a_folder_are_named_and_counted_in_the_record_and_on_the_leaderboard(tmp_path):
    for split, colours in (("train", "red green blue"), ("test", "grey pink")):
        (tmp_path / "images" / split).mkdir(parents=True)
        for colour in colours.split():
            Image.new("RGB", (70, 64), colour).save(tmp_path / "images" / split / f"{colour}.png")
        (tmp_path / "images" / split / f"broken-{split}.png").write_bytes(b"no image")
    (tmp_path / "small.toml").write_text(GOOD.replace('name = "photos"', 'name = "folder"'))
    done = vqbench("run", "small.toml", "--set", "data.params.root=images", cwd=tmp_path, expect=0)
    [path] = (tmp_path / "results" / "local" / "small").glob("*.json")
    record = json.loads(path.read_text())
    for split in ("train", "test"):
        [note] = [note for note in record["notes"] if f"broken-{split}.png" in note]
        assert f"unreadable {split} images that were left out: 1" in note
        assert f"broken-{split}.png" in done.stdout
    assert record["metrics"]["psnr"]["n"] == 2
    assert str(tmp_path) not in path.read_text()
