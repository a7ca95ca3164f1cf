"""``python -m vqbench.ci.speed`` in small repositories of a plugin."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from repositories import Repository

from vqbench.results import read_benchmarks

PLUGIN = Path(__file__).parents[1] / "fixtures" / "plugins" / "good" / "vqbench_fixture_good"
DESCRIBED, SIGN = ((PLUGIN / name).read_text() for name in ("__init__.py", "sign.py"))
FORWARD = "    def forward(self, latents):"
SLOWED = SIGN.replace(FORWARD, f"{FORWARD}\n        print('components may print')\n        latents.exp().log().sin()")
PACKAGE = "src/vqbench_fixture_good"
FAST = ("--processes", "1", "--seconds", "0.01")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """Of an installed plugin, with its packages in src."""
    site = tmp_path / "site"
    installed = site / "vqbench_fixture_good-1.2.3.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: vqbench-fixture-good\nVersion: 1.2.3\n")
    (installed / "entry_points.txt").write_text("[vqbench]\nfixture-good = vqbench_fixture_good\n")
    shutil.copytree(PLUGIN, site / PLUGIN.name, ignore=shutil.ignore_patterns("__pycache__"))
    made = Repository(tmp_path / "repository")
    made.environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))
    made.commit({f"{PACKAGE}/__init__.py": DESCRIBED, f"{PACKAGE}/sign.py": SIGN, "README.md": ""})
    return made


def gate(repository: Repository, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "vqbench.ci.speed", *map(str, arguments)],
        cwd=repository.folder,
        env=repository.environment | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def verdicts(out: Path) -> dict[str, str]:
    findings = json.loads((out / "report.json").read_text())["findings"]
    return {finding["labels"][0].rpartition("/")[2]: finding["verdict"] for finding in findings}


def test_an_operation_that_takes_longer_fails_and_the_one_beside_it_does_not(
    repository: Repository, tmp_path: Path
) -> None:
    repository.commit({f"{PACKAGE}/sign.py": SLOWED})
    out, summary = tmp_path / "out", tmp_path / "summary.md"
    only = ("--only", "*/fixture-sign-[fd]*")
    done = gate(repository, "--processes", "5", "--seconds", "1", *only, "--out", out, GITHUB_STEP_SUMMARY=str(summary))
    assert done.returncode == 1, done.stdout + done.stderr
    assert verdicts(out) == {"fixture-sign-forward": "worse", "fixture-sign-decode": "same"}
    assert "WORSE" in done.stdout
    assert "| WORSE | fixture-good/fixture-sign-forward | seconds |" in summary.read_text()
    records, broken = read_benchmarks(out / "head")
    assert [len(record.seconds.samples) for record in records] == [5, 5]
    assert not broken
    assert repository.git("status", "--porcelain") == ""


def test_only_components_of_the_repository_are_timed_and_one_that_came_or_cannot_run_is_said(
    repository: Repository, tmp_path: Path
) -> None:
    repository.commit({f"{PACKAGE}/__init__.py": DESCRIBED.replace('"fixture-shared"', '"fixture-fresh"')})
    done = gate(repository, *FAST, "--only", "*-forward", "--out", tmp_path / "out")
    assert done.returncode == 1, done.stdout + done.stderr
    assert verdicts(tmp_path / "out")["fixture-shared-forward"] == "missing"
    assert verdicts(tmp_path / "out")["fixture-fresh-forward"] == "new"
    assert "fixture-fresh-forward: base not timed, there is no such component, head " in done.stdout
    assert "vqbench/" not in done.stdout  # those are the same on both sides


def test_a_gate_file_decides_what_may_go(repository: Repository, tmp_path: Path) -> None:
    repository.commit({f"{PACKAGE}/__init__.py": DESCRIBED.replace('"fixture-shared"', '"fixture-fresh"')})
    file = tmp_path / "gate.toml"
    file.write_text("schema = 1\n[[rules]]\nrequired = false\nfactor = 1000.0\n")
    done = gate(repository, *FAST, "--only", "*-forward", "--gate", file)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("base", "head", "messages"),
    [
        (f"import not_installed\n{SIGN}", SIGN, ["Nothing of base can be timed", "No module named 'not_installed'"]),
        (SIGN, SIGN.replace("codes.to", "codez.to"), ["Nothing of head can be timed", "name 'codez' is not defined"]),
    ],
)
def test_a_side_whose_component_does_not_run_is_said(
    repository: Repository, base: str, head: str, messages: list[str]
) -> None:
    repository.commit({f"{PACKAGE}/sign.py": base})
    repository.commit({f"{PACKAGE}/sign.py": head})
    done = gate(repository, *FAST, "--only", "*/fixture-sign-forward")
    assert done.returncode == 2
    assert messages[0] in done.stderr
    assert messages[1] in done.stdout


def test_a_side_whose_process_ends_is_said(repository: Repository) -> None:
    repository.commit({"src/sitecustomize.py": "import sys\nsys.modules['torch'] = None\n"})
    done = gate(repository, *FAST)
    assert done.returncode == 2
    assert "vqbench.ci.speed: error: head cannot be timed: got " in done.stderr
    assert "import of torch halted" in done.stderr


def test_where_it_takes_too_long_it_says_so_and_no_process_stays(repository: Repository) -> None:
    repository.commit({f"{PACKAGE}/__init__.py": f"import time\ntime.sleep(60)\n{DESCRIBED}"})
    done = gate(repository, *FAST, "--limit", "6")
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.endswith("error: It takes more than 6 s here. Raise --limit, or time less (--only).\n")
    assert not [name for name in _running() if str(repository.folder) in name]


def _running() -> Iterator[str]:
    """Where processes work."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            yield os.readlink(process / "cwd")
        except OSError:  # it has ended, or is not ours
            continue


@pytest.mark.parametrize(
    ("changed", "arguments", "code", "message"),
    [
        ({"README.md": "docs"}, (), 0, "HEAD^ has the same code in src: nothing to compare.\n"),
        ({"src/x.py": ""}, ("--base", "HEAD^^"), 2, "There is no revision HEAD^^ here: got fatal: Needed a single"),
        ({"src/x.py": ""}, ("--source", "lib", "--source", "src"), 2, "base has no lib or src. --source says where"),
        (
            {"README.md": "docs"},
            ("--source", "README.md"),
            2,
            "got no component whose code lies in README.md. --source",
        ),
        ({"src/x.py": ""}, ("--only", "typo"), 2, "got operations fixture-good/fixture-shared-forward, "),
    ],
)
def test_what_cannot_be_compared_says_why(
    repository: Repository, changed: dict[str, str], arguments: tuple[str, ...], code: int, message: str
) -> None:
    repository.commit(changed)
    done = gate(repository, *FAST, *arguments)
    assert done.returncode == code, done.stdout + done.stderr
    assert message in (done.stderr if code else done.stdout)
