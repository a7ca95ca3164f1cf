"""vqbench's own gate: what it says to the committed records, to a loss of quality and to a lost cell, and what it runs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from compared import compared

from vqbench.catalog import Catalog, CatalogOptions
from vqbench.compare import load_gate
from vqbench.plan import build_plan
from vqbench.plan.suite import load_suite

ROOT = Path(__file__).parents[2]
COMMITTED = ROOT / "results" / "published" / "ci-quality"
GATE = load_gate(ROOT / "ci" / "gate.toml")


@pytest.fixture
def new(tmp_path: Path) -> Path:
    return shutil.copytree(COMMITTED, tmp_path / "ci-quality", ignore=shutil.ignore_patterns("values"))


def lower_psnr(record: Path, decibels: float) -> None:
    content = json.loads(record.read_text())
    for key in ("value", "low", "high"):
        content["metrics"]["psnr"][key] -= decibels
    record.write_text(json.dumps(content))


def compare(new: Path) -> subprocess.CompletedProcess[str]:
    code = "from vqbench.cli import main; main()"
    command = [
        sys.executable,
        "-c",
        code,
        "compare",
        str(COMMITTED),
        str(new),
        "--gate",
        str(ROOT / "ci" / "gate.toml"),
    ]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONUTF8": "1"}, check=False)


def test_the_committed_records_pass_and_every_rule_of_the_gate_matches(new):
    done = compare(new)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("no regression\n")


def test_a_loss_of_a_fifth_of_a_decibel_in_one_cell_is_found(new):
    lower_psnr(sorted(new.glob("*.json"))[0], 0.2)
    done = compare(new)
    assert done.returncode == 1
    assert done.stdout.count("WORSE") == 1
    assert "1 regression" in done.stdout


def test_what_another_processor_makes_of_it_is_let_pass(new):
    for record in new.glob("*.json"):
        lower_psnr(record, 0.02)
    assert compare(new).returncode == 0


def test_a_cell_that_is_gone_is_found(new):
    sorted(new.glob("*.json"))[0].unlink()
    [found] = (f for f in compared(COMMITTED, new, GATE).findings if f.effect == "regression")
    assert (found.metric, found.verdict) == (None, "missing")


def test_the_committed_records_are_those_of_the_suite():
    """Else the gate compares nothing: a changed version, parameter or recipe needs ``ci/quality.sh --accept``."""
    plan = build_plan(load_suite(ROOT / "ci" / "quality.toml"), Catalog.load(CatalogOptions(autoload=False)))
    assert {cell.id for cell in plan.cells} == {path.stem for path in COMMITTED.glob("*.json")}
