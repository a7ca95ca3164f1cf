"""The steps of action.yml in a real repository of a real plugin: base and head are installed, run and compared."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from repositories import Repository

from vqbench.results import read_benchmark, read_records

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "tests" / "fixtures" / "plugins" / "good"
SUITE = """
schema = 1
name = "gate"
data = { name = "photos", image_size = 32, params = { train_images = 32, test_images = 16 } }
quantizers = [{ name = "fixture-sign" }]
backbones = [{ name = "vit", preset = "tiny" }]
recipe = { steps = 20, batch_size = 4, lr = 2e-3, warmup_steps = 5 }
evaluation = { metrics = ["psnr"], batch_size = 16 }
"""
GATE = """
schema = 1

[[rules]]
metric = "*_per_second"
ignore = true
reason = "tests do not depend on how fast a machine is"

[[rules]]
metric = "psnr"
required = true
"""
FILES = {"suite.toml": SUITE, "gate.toml": GATE}
PLANT = ("codes.to(torch.float32) * 2 - 1", "(codes.to(torch.float32) * 2 - 1) * (1 if self.training else -1)")
SLOW = "import math\n\ndef test_something(benchmark):\n    benchmark.pedantic(math.factorial, (500,), rounds=30)\n"
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())


def substituted(text: str, known: dict[str, str]) -> str:
    """What GitHub makes of ``${{ a || b || 'c' }}``."""

    def value(match: re.Match[str]) -> str:
        terms = [term.strip() for term in match[1].split("||")]
        return next((v for t in terms if (v := t[1:-1] if t.startswith("'") else known.get(t, ""))), "")

    return re.sub(r"\$\{\{(.*?)\}\}", value, text)


class Plugin(Repository):
    """A plugin's repository, and the action in it as GitHub runs it."""

    def __init__(self, folder: Path, site: Path) -> None:
        shutil.copytree(PLUGIN, folder, ignore=shutil.ignore_patterns("__pycache__"))
        super().__init__(folder)
        offline = "--no-build-isolation --no-deps --no-index --disable-pip-version-check --quiet --upgrade"
        self.inputs = {
            "suite": "suite.toml",
            "gate": "gate.toml",
            "install": f"python -m pip install {offline} --target '{site}' .",
        }
        self.environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))

    def act(self, **inputs: str) -> subprocess.CompletedProcess[str]:
        declared = {name: given.get("default") for name, given in ACTION["inputs"].items()}
        assert inputs.keys() | self.inputs.keys() <= declared.keys()
        known = {f"inputs.{name}": value or "" for name, value in (declared | self.inputs | inputs).items()}
        [step] = ACTION["runs"]["steps"]
        environment = {name: substituted(text, known) for name, text in step["env"].items()}
        github = {
            "GITHUB_ACTION_PATH": str(ROOT),
            "GITHUB_STEP_SUMMARY": str(self.folder.parent / "summary.md"),
            "GITHUB_OUTPUT": str(self.folder.parent / "output"),
        }
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=self.folder,
            env=self.environment | github | environment,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def repository(tmp_path: Path) -> Plugin:
    return Plugin(tmp_path / "plugin", tmp_path / "site")


def test_a_pull_request_that_breaks_the_plugin_fails_with_a_summary(repository: Plugin, tmp_path: Path) -> None:
    repository.commit(FILES)
    module = repository.folder / "vqbench_fixture_good" / "sign.py"
    module.write_text(module.read_text().replace(*PLANT))
    repository.commit()
    done = repository.act()
    assert done.returncode == 1, done.stdout + done.stderr
    summary = (tmp_path / "summary.md").read_text()
    assert summary.startswith("### vqbench compare: ")
    assert "| WORSE | fixture-sign × vit × photos, seed 0 | psnr |" in summary
    out = repository.folder / "vqbench-ci"
    assert (tmp_path / "output").read_text() == f"summary={out}/summary.md\nresults={out}\n"
    [worse] = (f for f in json.loads((out / "report.json").read_text())["findings"] if f["metric"] == "psnr")
    assert worse["method"] == "paired bootstrap over images"
    assert ElementTree.parse(out / "junit.xml").getroot()[0].attrib["failures"] == "1"
    assert repository.git("worktree", "list").count("\n") == 1


def test_a_pull_request_that_changes_nothing_passes_benchmarks_too(repository: Plugin, tmp_path: Path) -> None:
    repository.commit(FILES | {"gate.toml": GATE.replace("*_per_second", "*second*"), "test_speed.py": SLOW})
    repository.commit({"README.md": "docs only"})
    done = repository.act(benchmarks="test_speed.py", passes="2", timed="2", arguments="--device cpu --quiet")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "summary.md").read_text().startswith("### vqbench compare: no regression")
    [path] = (repository.folder / "vqbench-ci" / "head" / "benchmarks").glob("*.benchmark.json")
    assert read_benchmark(path).seconds.n == 2
    [[cell], _] = read_records(repository.folder / "vqbench-ci" / "head")
    assert {timing.passes for timing in cell.timings} == {2}
    assert cell.metrics["psnr"].value is not None  # of the first run; the second only times


def test_the_pull_request_that_brings_the_suite_has_nothing_to_compare_with(repository: Plugin) -> None:
    repository.commit()
    repository.commit(FILES)
    done = repository.act()
    assert (done.returncode, done.stdout) == (0, "There is no suite.toml in BASE: nothing to compare with.\n")


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"base": "0" * 40}, "fetch-depth: 0"),
        ({"install": "echo no; false"}, "base cannot be installed: echo no; false"),
        ({"suite": "typo.toml", "install": "true"}, "base cannot be run"),
    ],
)
def test_what_cannot_be_run_is_2(repository: Plugin, inputs: dict[str, str], message: str) -> None:
    repository.commit(FILES)
    repository.commit()
    done = repository.act(**inputs)
    assert done.returncode == 2, done.stdout + done.stderr
    assert message in done.stderr
