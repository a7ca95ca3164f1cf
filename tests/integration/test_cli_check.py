"""``vqbench check``: which components are checked, what is told of each check, and the exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

from vqbench.cli import main
from vqbench.testing import checks_of

QUICK = ("--check", "images_have*")
PLUGIN = """
from vqbench import BackboneSpec, DatasetSpec, MetricSpec, Parameter, hookimpl

VQBENCH_API = 1


@hookimpl
def vqbench_datasets():
    yield DatasetSpec(
        name="grey",
        target="greys_parts:Grey",
        summary="grey images, one shade each",
        revision=lambda p: "1",
        parameters=(Parameter(name="count", type="int", default=5, minimum=1, summary="images of a split"),),
    )


@hookimpl
def vqbench_metrics():
    yield MetricSpec(
        name="grey",
        target="greys_parts:Brightness",
        summary="difference of mean brightness",
        unit="1",
        better="lower",
        protocol="of images in [0, 1]",
    )
"""
PARTS = """
import os
import sys
import time

import torch
from vqbench import Dataset, EvaluationBatch, PerImageMetric


class Grey(Dataset):
    def __init__(self, image_size, count):
        super().__init__(image_size)
        self.count = count
        {on_init}

    def split(self, name):
        shades = torch.linspace(0, 0.4, self.count) + (0.5 if name == "test" else 0.0)
        return [torch.full((3, self.image_size, self.image_size), shade) for shade in shades.tolist()]


class Brightness(PerImageMetric):
    def per_image(self, batch):
        return (batch.originals.mean((1, 2, 3)) - batch.reconstructions.mean((1, 2, 3))).abs()
"""


def check(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["check", *arguments])


def rows(result: Result) -> list[dict[str, str]]:
    return json.loads(result.stdout)["checks"]


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Writes a plugin of two components of one name, whose dataset does something when it is made; what to call it."""

    def write(on_init: str = "pass") -> list[str]:
        (tmp_path / "greys.py").write_text(PLUGIN)
        (tmp_path / "greys_parts.py").write_text(PARTS.format(on_init=on_init))
        return ["greys", "--plugin", str(tmp_path / "greys.py")]

    monkeypatch.syspath_prepend(tmp_path)
    yield write
    for module in ("greys", "greys_parts"):
        sys.modules.pop(module, None)


def test_a_sound_component_passes_and_exits_0() -> None:
    result = check("noise", "--check", "images_*", "--check", "notes_*")
    assert result.exit_code == 0
    assert "vqbench/noise" in result.stdout
    assert result.stdout.rstrip().endswith("Checks: 2 passed")


def test_a_plugin_is_checked_with_all_its_components(plugin) -> None:
    result = check(*plugin(), "--json", "--check", "images_*", "--check", "n_counts*")
    assert result.exit_code == 0
    assert [(row["component"], row["check"]) for row in rows(result)] == [
        ("greys/grey", "images_have_the_asked_form"),
        ("greys/grey", "n_counts_the_images"),
    ]


def test_every_check_of_a_small_plugin_passes_in_a_process_of_its_own(plugin, tmp_path: Path) -> None:
    code = "from vqbench.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "check", *plugin(), "--json"],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=tmp_path,
    )
    document = json.loads(done.stdout)
    assert done.returncode == 0, done.stdout
    assert {row["check"] for row in document["checks"]} == {
        its.name for kind in ("dataset", "metric") for its in checks_of(kind)
    }


def test_parameters_are_set_for_one_component_only(plugin) -> None:
    target, *rest = plugin()
    result = check(f"dataset:{target}/grey", *rest, "--set", "count=1", *QUICK, "--json")
    assert (result.exit_code, rows(result)[0]["component"]) == (0, "greys/grey(count=1)")
    several = check(target, *rest, "--set", "count=1")
    assert several.exit_code == 2
    assert "--set is for one component: got plugin 'greys' with 2" in several.stderr
    wrong = check(f"dataset:{target}/grey", *rest, "--set", "count=0", *QUICK)
    assert wrong.exit_code == 2
    assert "count" in wrong.stderr


def test_a_failing_check_exits_1_and_says_what_it_protects_and_how_to_mend_it(plugin) -> None:
    result = check(*plugin("self.image_size = 16"), *QUICK)
    assert result.exit_code == 1
    assert "images_have_the_asked_form: the dataset's image_size is not the one it was given: got 16" in result.stdout
    assert "what it protects:" in result.stdout
    assert "to mend it: Return images (3, H, W)" in result.stdout


def test_an_expected_failure_exits_0_and_one_that_passes_exits_1(plugin) -> None:
    broken = plugin("self.image_size = 16")
    expected = check(*broken, *QUICK, "--expect-failure", "images_have_the_asked_form=always 16", "--json")
    assert (expected.exit_code, rows(expected)[0]["status"]) == (0, "failed as expected")
    assert rows(expected)[0]["message"] == "always 16"
    passing = check("noise", *QUICK, "--expect-failure", "images_have_the_asked_form=always 16", "--json")
    assert (passing.exit_code, rows(passing)[0]["status"]) == (1, "passed unexpectedly")


def test_an_exception_of_a_component_is_a_failure_with_its_traceback_and_stops_no_other_check(plugin) -> None:
    result = check(*plugin("raise RuntimeError('boom')"), "--json", *QUICK, "--check", "notes*")
    assert result.exit_code == 1
    assert [row["status"] for row in rows(result)] == ["failed", "failed"]
    assert rows(result)[0]["message"] == "RuntimeError: boom"
    assert "greys_parts.py" in rows(result)[0]["traceback"]


@pytest.mark.parametrize("exits", ["sys.exit(3)", "raise type('Own', (KeyboardInterrupt,), {})()"])
def test_a_component_that_exits_does_not_take_the_command_along(plugin, exits: str) -> None:
    result = check(*plugin(exits), "--json", *QUICK)
    assert (result.exit_code, rows(result)[0]["status"]) == (1, "failed")


def test_ctrl_c_ends_the_command(plugin) -> None:
    assert check(*plugin("raise KeyboardInterrupt"), *QUICK).exit_code == 130


def test_what_a_component_prints_is_no_part_of_the_result(plugin, tmp_path: Path) -> None:
    shouting = plugin("print('shout'); os.write(1, b'shout'); os.system('echo shout')")
    code = "from vqbench.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "check", *shouting, "--json", *QUICK],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
    )
    assert json.loads(done.stdout)["good"] is True
    assert done.stderr.count("shout") == 3


def test_a_check_that_hangs_fails_at_its_time_limit_and_the_next_one_runs(plugin) -> None:
    result = check(*plugin("while True: time.sleep(0.01)"), "--timeout", "3", "--json", *QUICK, "--check", "n_counts*")
    assert result.exit_code == 1
    hung, other = rows(result)
    assert hung["message"] == "it took longer than 3 seconds (--timeout sets the limit)"
    assert other["status"] == "passed"


def test_the_list_of_checks_says_what_each_protects() -> None:
    everything, of_one = check("--list"), check("noise", "--list")
    assert everything.exit_code == of_one.exit_code == 0
    for kind in ("quantizer", "backbone", "dataset", "metric", "suite"):
        assert f"Checks of a {kind}" in everything.stdout
        assert all(its.name in everything.stdout for its in checks_of(kind))
    assert "Checks of a dataset" in of_one.stdout
    assert "Checks of a metric" not in of_one.stdout
    assert checks_of("dataset")[-1].protects in of_one.stdout


def test_formats_and_files_hold_the_same_checks(tmp_path: Path) -> None:
    files = {suffix: tmp_path / f"checks{suffix}" for suffix in (".txt", ".json", ".xml")}
    outs = [argument for file in files.values() for argument in ("--out", str(file))]
    printed = check("noise", *QUICK, "--format", "junit", *outs)
    assert printed.exit_code == 0
    suite = ElementTree.fromstring(printed.stdout.encode()).find("testsuite")
    assert suite is not None
    assert suite.get("tests") == "1"
    assert files[".xml"].read_text() == printed.stdout
    assert json.loads(files[".json"].read_text())["checks"][0]["check"] == "images_have_the_asked_form"
    assert "Checks: 1 passed" in files[".txt"].read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "check needs a TARGET"),
        (("nois",), "Did you mean 'noise'"),
        (("vqbnch",), "there is no plugin or component 'vqbnch'. Did you mean 'vqbench'?"),
        (("noise", "--check", "nothing_*"), "there is nothing to check: got nothing_*"),
        (("noise", "--expect-failure", "images_have_the_asked_frm=x"), "Did you mean 'images_have_the_asked_form'"),
        (("noise", "--expect-failure", "images_have_the_asked_form"), "--expect-failure wants NAME=VALUE"),
        (("noise", "--set", "seed"), "--set wants NAME=VALUE"),
        (("noise", "--json", "--format", "junit"), "--json and --format contradict each other"),
        (("noise", "--out", "checks.pdf"), "does not say which format to write"),
        (("noise", "--timeout", "0"), "--timeout"),
    ],
)
def test_wrong_usage_exits_2_with_one_message(arguments: tuple[str, ...], message: str) -> None:
    result = check(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""


def test_a_plugin_that_failed_to_load_is_told_with_its_traceback(tmp_path: Path) -> None:
    (tmp_path / "torn.py").write_text("raise RuntimeError('torn apart')\n")
    result = check("torn", "--plugin", str(tmp_path / "torn.py"))
    assert result.exit_code == 2
    assert "plugin 'torn' failed at stage import: RuntimeError: torn apart" in result.stderr
    assert "torn.py" in result.stderr
