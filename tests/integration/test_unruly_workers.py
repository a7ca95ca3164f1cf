"""Components that misbehave in a worker: the other cells get their numbers, and each record says who failed in what."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SUPPORT = Path(__file__).parents[1] / "support"
UNRULY = "quantizer 'unruly_plugin/unruly'"
SUITE = """
schema = 1
name = "unruly"
stride = 2
recipe = { steps = 2, batch_size = 4 }
data = { name = "unruly-squares", image_size = 8 }
backbones = [{ name = "unruly-convs" }]
evaluation = { metrics = ["psnr", "fine", "raises", "returns-a-float", "unimportable"] }
timing = { seconds = 0.01 }
quantizers = [
  { name = "unruly", label = "hangs", params = { order = "forward=hang" } },
  { name = "stray" },
  { name = "unruly", label = "vanishes", params = { order = "forward=vanish" } },
  { name = "unruly", label = "dies", params = { order = "on_step=die" } },
  { name = "unruly", label = "exhausts", params = { order = "forward=exhaust" } },
  { name = "unruly", label = "interrupts", params = { order = "on_step=interrupt" } },
  { name = "unruly", label = "mute", params = { order = "__init__=mute" } },
  { name = "converted", label = "unfit", params = { order = "fit=fail" } },
  { name = "unruly", label = "well" },
]
"""


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """The records of one run of them all, by label."""
    folder = tmp_path_factory.mktemp("unruly")
    (folder / "suite.toml").write_text(SUITE)
    paths = os.pathsep.join([str(SUPPORT), *filter(None, [os.environ.get("PYTHONPATH")])])
    options = ["--plugin", "unruly_plugin", "--results", "results", "--timeout", "15", "--jobs", "2", "--device", "cpu"]
    done = subprocess.run(
        [sys.executable, "-m", "vqbench", "run", "suite.toml", *options],
        capture_output=True,
        text=True,
        timeout=280,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    found = [json.loads(path.read_text()) for path in (folder / "results" / "unruly").glob("*.json")]
    return {record["quantizer"]["label"]: record for record in found}


@pytest.mark.parametrize(
    ("label", "status", "message"),
    [
        ("hangs", "timeout", f"the job ran longer than 15 seconds; it was in {UNRULY}: forward"),
        (
            "stray",
            "failed",
            "the worker was killed by signal 9 (SIGKILL); it was in quantizer 'unruly_plugin/stray': import of unruly_stray",
        ),
        (
            "vanishes",
            "failed",
            f"the worker exited with code 7 without reporting a result; it was in {UNRULY}: forward",
        ),
        ("dies", "failed", f"the worker was killed by signal 9 (SIGKILL); it was in {UNRULY}: on_step"),
        ("exhausts", "out_of_memory", f"{UNRULY} failed in forward: MemoryError. Lower recipe.batch_size"),
        ("interrupts", "failed", f"{UNRULY} failed in on_step: OwnInterrupt"),
        ("mute", "failed", f"{UNRULY} failed in __init__: Mute: (its message cannot be printed)"),
        ("unfit", "failed", "quantizer 'unruly_plugin/converted' failed in fit: ZeroDivisionError: the plugin's own"),
    ],
)
def test_a_component_that_misbehaves_is_named_in_its_record(records, label, status, message):
    record = records[label]
    assert record["status"] == status
    assert record["failure"]["message"].startswith(message)


def test_the_others_get_their_numbers(records):
    assert records["well"]["status"] == "ok"
    assert records["well"]["metrics"]["psnr"]["value"] > 0


@pytest.mark.parametrize(
    ("metric", "reason"),
    [
        ("raises", "metric 'unruly_plugin/raises' failed in update: ZeroDivisionError: the plugin's own"),
        (
            "returns-a-float",
            "metric 'unruly_plugin/returns-a-float': compute returned something else: "
            "got float, expected vqbench.Measurement",
        ),
        ("unimportable", "metric 'unruly_plugin/unimportable' failed in __init__: RuntimeError: not today"),
    ],
)
def test_a_metric_that_fails_costs_its_own_number(records, metric, reason):
    metrics = records["well"]["metrics"]
    assert metrics["unruly_plugin/fine"]["value"] == 1.0
    number = metrics[f"unruly_plugin/{metric}"]
    assert (number["value"], number["reason"]) == (None, reason)
