"""benchmarks/test_components.py covers whatever is registered, and skips what cannot be built."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import own_pytest

from vqbench.catalog import Catalog, CatalogOptions
from vqbench.results.pytest_benchmark import import_pytest_benchmarks

ROOT = Path(__file__).parents[2]
GOOD = ROOT / "tests" / "fixtures" / "plugins" / "good"
UNAVAILABLE = """
from vqbench import BackboneSpec, Requirement, hookimpl

@hookimpl
def vqbench_backbones():
    yield BackboneSpec(
        name="elsewhere", target="nowhere:Nothing", summary="needs what is not there",
        requires=(Requirement(module="vqbench_no_such_module", install="pip install vqbench-no-such-module"),))
"""


def benchmark(*arguments: str | Path) -> str:
    path = os.pathsep.join([str(GOOD), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "benchmarks/test_components.py",
            "-p",
            "no:cacheprovider",
            *map(str, arguments),
        ],
        cwd=ROOT,
        env=own_pytest.environment() | {"PYTHONPATH": path, "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_registered_component_is_measured_in_every_operation():
    collected = benchmark("--collect-only", "-q", "--plugin", "vqbench_fixture_good").splitlines()
    catalog = Catalog.load(CatalogOptions())
    names = {entry.id for entry in catalog.entries("quantizer")} | {"vqbench_fixture_good/fixture-sign"}
    expected = {f"test_quantizer[{name}-{what}-cpu]" for name in names for what in ("forward", "training", "decode")}
    names = {entry.id for entry in catalog.entries("backbone")}
    expected |= {f"test_backbone[{name}-{what}-cpu]" for name in names for what in ("encode", "decode")}
    assert expected <= {line.partition("::")[2] for line in collected}


def test_a_plugin_is_timed_and_what_cannot_be_built_is_skipped_with_the_reason(tmp_path):
    plugin, out = tmp_path / "unavailable.py", tmp_path / "benchmarks.json"
    plugin.write_text(UNAVAILABLE)
    shown = benchmark(
        *("--plugin", "vqbench_fixture_good", "--plugin", plugin, "-k", "fixture-sign or elsewhere"),
        *("--benchmark-json", out, "--benchmark-max-time", "0.01"),
    )
    assert "vqbench_no_such_module, which is not installed" in shown
    groups = {group["group"] for group in json.loads(out.read_text())["benchmarks"]}
    assert groups == {"quantizer forward cpu", "quantizer training cpu", "quantizer decode cpu"}
    names = {record.name.rpartition("::")[2] for record in import_pytest_benchmarks([out], suite="components")}
    assert "test_quantizer[vqbench_fixture_good/fixture-sign-forward-cpu]" in names
