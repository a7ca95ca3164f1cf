"""The main job as a user runs it: real processes, real training (a few steps), real records."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time

import pytest
from PIL import Image

CODED = (
    "fsq",
    "lfq",
    "bsq",
    "vqgan",
    "vq_vae_2",
    "rq_vae",
    "sq_vae",
    "sq_vae_2",
    "rsq_vae",
    "gq",
    "gq-5x4",
    "tokenbridge",
)
CONTINUOUS = ("gaussian_vae", "gaussian_vae-sample")
STOCHASTIC = ("sq_vae", "sq_vae_2", "rsq_vae")
ALL_CELLS = {(quantizer, backbone) for quantizer in CODED + CONTINUOUS for backbone in ("unet", "vit")}
SHORT = ("--set", "recipe.steps=6", "--set", "recipe.warmup_steps=1", "--set", "recipe.batch_size=4")
SHORT += ("--set", "data.params.train_images=32", "--set", "data.params.test_images=16", "--set", "timing.seconds=0.02")
TIMES = {"started", "seconds", "environment", "timings"}


def command(subcommand, *arguments):
    threads = ["--jobs", "2"] if subcommand == "run" else []  # the last digits depend on the number of threads
    return [sys.executable, "-m", "vqbench", subcommand, *threads, *map(str, arguments)]


def vqbench(*arguments, cwd=None, expect=0):
    environment = os.environ | {"COLUMNS": "140"}
    done = subprocess.run(
        command(*arguments), capture_output=True, text=True, cwd=cwd, env=environment, timeout=280, check=False
    )
    assert done.returncode == expect, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return done


def records(folder):
    return {path.stem: json.loads(path.read_text()) for path in folder.glob("*.json")}


def comparable(record):
    """A record without what depends on the clock."""
    rest = {key: value for key, value in record.items() if key not in TIMES}
    rest["metrics"] = {name: m for name, m in record["metrics"].items() if m["board"] != "throughput"}
    if rest["training"]:
        rest["training"] = {key: value for key, value in rest["training"].items() if key != "seconds"}
    return rest


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A whole quickstart, shortened to a few steps, and what it printed."""
    results = tmp_path_factory.mktemp("results")
    return results, vqbench("run", "--results", results, *SHORT)


def test_every_cell_of_the_quickstart_is_ok_and_on_three_leaderboards(finished):
    results, done = finished
    found = records(results / "quickstart")
    assert {(r["quantizer"]["label"], r["backbone"]["label"]) for r in found.values()} == ALL_CELLS
    assert {r["status"] for r in found.values()} == {"ok"}
    for r in found.values():
        assert r["bits_per_image"] == (None if r["quantizer"]["label"] in CONTINUOUS else 640.0)
    for board in ("QUALITY", "USAGE", "THROUGHPUT"):
        assert done.stdout.count(board) == 2  # the continuous ceiling is never ranked with what has bits
    board = json.loads(vqbench("leaderboard", results, "--json").stdout)
    for name in ("quality", "usage", "throughput"):
        rows = [row for row in board["rows"] if row["board"] == name]
        assert {(row["quantizer"], row["backbone"]) for row in rows} == ALL_CELLS
    assert not board["unfinished"]


def test_a_record_carries_what_its_numbers_need(finished):
    results, _ = finished
    for record in records(results / "quickstart").values():
        assert set(record["metrics"]) >= {"psnr", "ssim", "l1", "code_usage", "perplexity", "code_efficiency"}
        assert set(record["metrics"]) >= {"entropy_bits_per_image", "actual_bits_per_image"}
        assert ("soft_mi_bits_per_image" in record["metrics"]) == (record["quantizer"]["label"] in STOCHASTIC)
        assert all(usage["dead"] is not None for usage in record["code_usage"])
        assert set(record["metrics"]) >= {"encode_images_per_second", "decode_images_per_second", "parameters"}
        for metric in record["metrics"].values():
            assert metric["protocol"]
            if record["quantizer"]["label"] in CODED:
                assert metric["value"] is not None
            else:  # never zero, never absent
                assert (metric["value"] is None) == (metric["reason"] is not None)
        assert record["metrics"]["psnr"]["n"] == 16
        assert record["metrics"]["psnr"]["low"] < record["metrics"]["psnr"]["value"] < record["metrics"]["psnr"]["high"]
        positions = [level["height"] * level["width"] for level in record["levels"]]
        assert [usage["tokens"] for usage in record["code_usage"]] == [
            16 * positions[usage["level"]] for usage in record["code_usage"]
        ]
        assert record["environment"]["packages"]["torch"]
        assert record["training"]["steps"] == 6


def test_all_conversions_and_the_ceiling_share_one_training_run(finished):
    results, _ = finished
    found = records(results / "quickstart").values()
    shared = {"gq", "gq-5x4", "tokenbridge", *CONTINUOUS}
    for backbone in ("unet", "vit"):
        cells = [r for r in found if r["quantizer"]["label"] in shared and r["backbone"]["label"] == backbone]
        assert len(cells) == 5
        assert len({r["training"]["unit"] for r in cells}) == 1
        assert {r["training"]["quantizer"]["id"] for r in cells} == {"vqbench/gaussian_vae"}
    assert len(list((results / "quickstart" / "checkpoints").iterdir())) == 20


def test_a_picture_and_a_markdown_leaderboard_are_left(finished):
    results, _ = finished
    text = (results / "quickstart" / "LEADERBOARD.md").read_text()
    assert all(name in text for name, _ in ALL_CELLS)
    with Image.open(results / "quickstart" / "reconstructions.png") as picture:
        assert picture.width * picture.height > (len(ALL_CELLS) + 2) * 4 * 64 * 64


def test_a_second_run_does_nothing_and_says_so(finished):
    results, _ = finished
    before = {path: path.stat().st_mtime_ns for path in (results / "quickstart").glob("*.json")}
    done = vqbench("run", "--results", results, *SHORT)
    assert f"{len(ALL_CELLS)} ok ({len(ALL_CELLS)} of them from earlier runs)" in done.stderr
    assert "Trained 0" in done.stderr
    assert {path: path.stat().st_mtime_ns for path in (results / "quickstart").glob("*.json")} == before
    plan = json.loads(vqbench("plan", "--results", results, *SHORT, "--json").stdout)
    assert all(cell["cached"] for cell in plan["cells"])


def test_a_new_metric_evaluates_again_without_training(finished, tmp_path):
    results, _ = finished
    plugin = tmp_path / "worst_pixel.py"
    plugin.write_text(
        "from vqbench import MetricSpec, PerImageMetric, hookimpl\n"
        "class WorstPixel(PerImageMetric):\n"
        "    def per_image(self, batch):\n"
        "        difference = batch.originals_uint8.int() - batch.reconstructions_uint8.int()\n"
        "        return difference.abs().flatten(1).amax(1)\n"
        "@hookimpl\n"
        "def vqbench_metrics():\n"
        "    yield MetricSpec(name='worst_pixel', target='worst_pixel:WorstPixel', summary='s', unit='grey levels',\n"
        "                     better='lower', protocol='uint8, largest per image, mean over images')\n"
    )
    part = ("-q", "fsq", "-b", "unet")
    copied = tmp_path / "results"
    subprocess.run(["cp", "-r", str(results), str(copied)], check=True)
    done = vqbench(
        "run", "--results", copied, *SHORT, *part, "--plugin", plugin,
        "--set", 'evaluation.metrics=["psnr", "worst_pixel/worst_pixel"]',
    )  # fmt: skip
    assert "Trained 0" in done.stderr
    [new] = [r for r in records(copied / "quickstart").values() if "worst_pixel/worst_pixel" in r["metrics"]]
    assert new["metrics"]["worst_pixel/worst_pixel"]["value"] > 0
    old = records(results / "quickstart")[new["cell_id"]]
    assert new["metrics"]["psnr"]["value"] == old["metrics"]["psnr"]["value"]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_run_killed_at_a_random_moment_and_run_again_gives_the_same_records(finished, tmp_path, how):
    results, _ = finished
    part = ("-q", "vqgan", "-q", "rsq_vae", "-q", "gq*", "-b", "unet")
    with subprocess.Popen(
        command("run", "--results", tmp_path, *SHORT, *part, "--checkpoint-seconds", 0),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        assert process.stderr is not None
        process.stderr.readline()  # the first job has started
        time.sleep(random.uniform(0.5, 8))
        process.send_signal(how)
        process.stderr.read()
    vqbench("run", "--results", tmp_path, *SHORT, *part)
    again = records(tmp_path / "quickstart")
    assert len(again) == 4
    uninterrupted = records(results / "quickstart")
    for cell, record in again.items():
        assert comparable(record) == comparable(uninterrupted[cell])


def test_a_truncated_checkpoint_fails_its_cells_with_one_message_and_costs_no_other(finished, tmp_path):
    results, _ = finished
    copied = tmp_path / "results"
    subprocess.run(["cp", "-r", str(results), str(copied)], check=True)
    folder = copied / "quickstart"
    found = records(folder)
    [victim] = [r for r in found.values() if (r["quantizer"]["label"], r["backbone"]["label"]) == ("fsq", "vit")]
    [checkpoint] = (folder / "checkpoints" / victim["training"]["unit"]).glob("*/tokenizer.safetensors")
    checkpoint.write_bytes(checkpoint.read_bytes()[:5000])
    (folder / f"{victim['cell_id']}.json").unlink()
    done = vqbench("run", "--results", copied, *SHORT, expect=1)
    assert f"{len(ALL_CELLS) - 1} ok" in done.stderr
    assert str(checkpoint) in done.stderr
    after = records(folder)
    assert after.pop(victim["cell_id"])["status"] == "failed"
    found.pop(victim["cell_id"])
    assert after == found
    boards, unfinished = done.stdout.split("UNFINISHED (1)")
    assert "fsq × vit" in unfinished
    assert "CheckpointError" in unfinished
    assert len([line for line in boards.splitlines() if re.search(r"\bfsq +vit\b", line)]) == 0
    vqbench("run", "--results", copied, *SHORT, "-q", "fsq", "-b", "vit", "--force")
    assert records(folder)[victim["cell_id"]]["status"] == "ok"


def test_a_corrupt_record_is_named_kept_aside_and_made_again(finished, tmp_path):
    results, _ = finished
    copied = tmp_path / "results"
    subprocess.run(["cp", "-r", str(results), str(copied)], check=True)
    path = sorted((copied / "quickstart").glob("*.json"))[0]
    before = json.loads(path.read_text())
    path.write_text(path.read_text()[:300])
    done = vqbench("run", "--results", copied, *SHORT)
    assert str(path) in done.stderr
    assert path.with_name(path.name + ".damaged").exists()
    assert comparable(json.loads(path.read_text())) == comparable(before)


def test_training_separates_a_tokenizer_from_an_untrained_one(tmp_path):
    """A third of the quickstart's own training, for one cell, against the same cell without any: several dB."""
    part = ("-q", "fsq", "-b", "unet", "--set", "data.params.test_images=64")
    vqbench("run", "--results", tmp_path / "trained", *part, "--set", "recipe.steps=200")
    vqbench(
        "run", "--results", tmp_path / "untrained", *part, "--set", "recipe.steps=0", "--set", "recipe.warmup_steps=0"
    )
    [trained] = records(tmp_path / "trained" / "quickstart").values()
    [untrained] = records(tmp_path / "untrained" / "quickstart").values()
    assert trained["metrics"]["psnr"]["low"] > untrained["metrics"]["psnr"]["high"] + 5
