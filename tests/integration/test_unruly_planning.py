"""Plugins that misbehave in the process that plans: listing and planning survive, and say which one it was."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from vqbench.catalog import CatalogOptions
from vqbench.cli import doctor, trial
from vqbench.cli.trial import casualties

SUPPORT = Path(__file__).parents[1] / "support"
SUITE = """
schema = 1
name = "unruly"
stride = 2
data = { name = "unruly-squares", image_size = 8 }
backbones = [{ name = "unruly-convs" }]
quantizers = [{ name = "unruly" }]
evaluation = { metrics = [] }
"""


@pytest.fixture
def vqbench(tmp_path):
    """Run the command line with the unruly plugin, misbehaving as ordered, beside the built-in one."""
    (tmp_path / "suite.toml").write_text(SUITE)

    def run(*arguments, order="", **environment):
        clean = {k: v for k, v in os.environ.items() if not k.startswith("VQBENCH_")}
        paths = os.pathsep.join([str(SUPPORT), *filter(None, [clean.get("PYTHONPATH")])])
        return subprocess.run(
            [sys.executable, "-m", "vqbench", *arguments, "--plugin", "unruly_plugin"],
            capture_output=True,
            text=True,
            timeout=120,
            cwd=tmp_path,
            env=clean | {"PYTHONPATH": paths, "MISBEHAVES": order} | environment,
        )

    return run


@pytest.mark.parametrize(
    ("order", "stage", "message"),
    [
        ("import=interrupt", "import", "OwnInterrupt"),
        ("import=mute", "import", "Mute: (its message cannot be printed)"),
        ("import=exhaust", "import", "MemoryError"),
        ("import=hang", "import", "it took longer than 3 seconds (VQBENCH_PLUGIN_SECONDS sets the limit)"),
        ("import=vanish", "import", "it called os._exit(7), which would have ended vqbench"),
        ("hook=fail", "hook", "ZeroDivisionError: the plugin's own"),
        ("hook=vanish", "hook", "it called os._exit(7), which would have ended vqbench"),
        ("hook=hang_on", "hook", "it took longer than 3 seconds"),
        ("hook's return=nonsense", "hook", "vqbench_quantizers returned something else than descriptors: got str"),
    ],
)
def test_a_plugin_that_does_not_load_is_a_failure_with_its_stage(vqbench, order, stage, message):
    done = vqbench("plugins", "--json", order=order, VQBENCH_PLUGIN_SECONDS="3")
    assert done.returncode == 0, done.stderr
    plugins = json.loads(done.stdout)
    assert [plugin["name"] for plugin in plugins["loaded"]] == ["vqbench"]
    [failure] = plugins["failed"]
    assert (failure["plugin"], failure["stage"]) == ("unruly_plugin", stage)
    assert message in failure["message"]
    assert "vqbench/catalog" not in failure["traceback"]


@pytest.mark.parametrize(
    ("command", "order"),
    [
        (("list",), "import=print"),
        (("list",), "hook=print"),
        (("show", "unruly"), "levels=print"),
        (("plan", "suite.toml"), "trains_as=print"),
        (("plan", "suite.toml"), "check=print"),
        (("plan", "suite.toml"), "revision=print"),
        (("data", "status", "unruly-squares"), "assets=print"),
    ],
)
def test_what_a_plugin_prints_by_any_way_does_not_reach_the_json(vqbench, command, order):
    done = vqbench(*command, "--json", order=order)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) is not None
    for way in ("Python", "the first stream", "the descriptor", "a child"):
        assert f"through {way}\n" in done.stderr


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ("levels=fail", "quantizer 'unruly_plugin/unruly' failed in levels: ZeroDivisionError: the plugin's own"),
        ("levels=hang", "quantizer 'unruly_plugin/unruly' failed in levels: it took longer than 3 seconds"),
        (
            "levels=vanish",
            "quantizer 'unruly_plugin/unruly' failed in levels: it called os._exit(7), which would have ended",
        ),
        ("trains_as=exit", "quantizer 'unruly_plugin/unruly' failed in trains_as: SystemExit: enough"),
        ("trains_as=nonsense", "quantizer 'unruly_plugin/unruly': trains_as returned something else: got str"),
        ("check=interrupt", "backbone 'unruly_plugin/unruly-convs' failed in check: OwnInterrupt"),
        ("revision=mute", "dataset 'unruly_plugin/unruly-squares' failed in revision: Mute"),
    ],
)
def test_a_function_of_a_descriptor_that_misbehaves_stops_the_plan_with_one_message(vqbench, order, message):
    done = vqbench("plan", "suite.toml", order=order, VQBENCH_PLUGIN_SECONDS="3")
    assert done.returncode == 2
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    assert line.startswith(f"vqbench: error: {message}")


def test_a_plugin_that_imports_torch_is_told_so_where_it_keeps_users_waiting(vqbench, tmp_path):
    (tmp_path / "heavy_plugin.py").write_text(
        "import sys, time, types\n"
        "sys.modules['torch'] = types.ModuleType('torch')  # stands for the real one, which takes longer\n"
        "time.sleep(1.1)\n"
        "from unruly_plugin import *\n"
    )
    done = vqbench("list", "--plugin", "heavy_plugin.py", "--no-plugin", "unruly_plugin")
    [note] = [line for line in done.stderr.splitlines() if "heavy_plugin" in line]
    assert note.startswith("note: plugin 'heavy_plugin' took ")
    assert "as it imports torch: what is heavy belongs in the modules of its targets" in note
    shown = vqbench("plugins", "--plugin", "heavy_plugin.py", "--no-plugin", "unruly_plugin").stdout
    row = next(line for line in shown.splitlines() if line.startswith("heavy_plugin "))
    assert row.endswith("ok, but imports torch")
    assert float(row.split()[3]) > 1
    assert "imports torch" not in next(line for line in shown.splitlines() if line.startswith("vqbench "))


FATAL = {
    "dies": "from misbehaviour import WAYS\nWAYS['die']()\n",
    "ends_well": "import ctypes\nctypes.CDLL(None)._exit(0)\n",
    "hangs_in_c": "from misbehaviour import WAYS\nWAYS['hang_in_c']()\n",
    "leaves_a_thread": "import threading, time\nthreading.Thread(target=time.sleep, args=(600,)).start()\n",
    "fails": "1 / 0\n",
    "prints": "from misbehaviour import WAYS\nWAYS['print']()\n",
}


def test_plugins_that_end_the_process_are_found_by_loading_each_in_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(SUPPORT), prepend=os.pathsep)
    monkeypatch.setenv("VQBENCH_PLUGIN_SECONDS", "1")
    monkeypatch.setattr(trial, "SECONDS_TO_START", 7.0)
    for name, source in FATAL.items():
        (tmp_path / f"{name}.py").write_text(source)
    options = CatalogOptions(plugins=tuple(str(tmp_path / f"{name}.py") for name in FATAL), autoload=False)
    assert {casualty.plugin: casualty.how for casualty in casualties(options)} == {
        "dies": "loading it ends the process (signal 9)",
        "ends_well": "loading it ends the process (exit code 0)",
        "hangs_in_c": "loading it does not end, not even by force (VQBENCH_PLUGIN_SECONDS)",
        "leaves_a_thread": "loading it does not end, not even by force (VQBENCH_PLUGIN_SECONDS)",
    }


def test_the_doctor_names_a_plugin_that_ends_the_process_and_goes_on_without_it(tmp_path):
    (tmp_path / "ends_well.py").write_text(FATAL["ends_well"])
    options = CatalogOptions(plugins=(str(tmp_path / "ends_well.py"),), autoload=False)
    first, *_, last = doctor._plugins(options)
    assert (first.level, first.subject) == ("problem", "plugin ends_well")
    assert "--no-plugin ends_well" in first.hint
    assert last.message.endswith("components registered")


def test_a_crash_in_c_shows_whose_file_it_was_in(vqbench, tmp_path):
    (tmp_path / "crashes.py").write_text("import ctypes\nctypes.string_at(0)\n")
    done = vqbench("list", "--plugin", "crashes.py")
    assert done.returncode < 0
    assert f'File "{tmp_path / "crashes.py"}", line 2' in done.stderr
