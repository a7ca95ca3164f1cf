"""vqbench's own gate on speed, in small repositories that have its scripts and a hot operation."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from repositories import Repository

ROOT = Path(__file__).parents[2]
SCRIPTS = {f"ci/{name}": (ROOT / "ci" / name).read_text() for name in ("speed.py", "speed_worker.py", "speed.toml")}
COMPONENTS = """
from hot import NAMES, work

class CannotMeasure(Exception):
    pass

def operations(catalog):
    return [f"{name}-forward" for name in NAMES] + ["unlisted-training"]

def prepare(catalog, name):
    if name == "needy-forward":
        raise CannotMeasure("it needs what is not here")
    print("components may print")
    return lambda: work(name)
"""
CODE = "NAMES = ['slowed', 'left', 'needy']\ndef work(name):\n    return sum(range(3000))\n"
SLOWED = CODE.replace("3000", "6000 if name == 'slowed-forward' else 3000")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "repository")
    made.commit(
        SCRIPTS
        | {
            "benchmarks/__init__.py": "",
            "benchmarks/components.py": COMPONENTS,
            "core/hot.py": CODE,
            "plugins/x.py": "",
            ".gitignore": "__pycache__",
        }
    )
    return made


def gate(repository: Repository, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "ci/speed.py", *map(str, arguments)],
        cwd=repository.folder,
        env=repository.environment,
        capture_output=True,
        text=True,
        check=False,
    )


def last_line_but_the_time(done: subprocess.CompletedProcess[str]) -> str:
    return done.stdout.splitlines()[-2]


def test_an_operation_that_takes_twice_as_long_fails_and_the_one_beside_it_does_not(
    repository: Repository, tmp_path: Path
) -> None:
    repository.commit({"core/hot.py": SLOWED})
    done = gate(repository, "--processes", "5", "--seconds", "1", "--out", tmp_path / "out")
    assert done.returncode == 1, done.stdout + done.stderr
    verdicts = {f["labels"][0]: f["verdict"] for f in report(tmp_path)}
    assert verdicts == {"slowed-forward": "worse", "left-forward": "same"}
    assert "needy-forward: not measured here" in done.stdout
    assert repository.git("status", "--porcelain") == ""


def report(folder: Path) -> list[dict[str, object]]:
    return json.loads((folder / "out" / "report.json").read_text())["findings"]  # type: ignore[no-any-return]


def test_an_operation_that_goes_or_comes_is_no_failure(repository: Repository, tmp_path: Path) -> None:
    repository.commit({"core/hot.py": CODE.replace("'slowed', 'left'", "'left', 'fresh'")})
    done = gate(repository, "--processes", "2", "--seconds", "0.1", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stdout + done.stderr
    verdicts = {f["labels"][0]: f["verdict"] for f in report(tmp_path)}
    assert (verdicts["slowed-forward"], verdicts["fresh-forward"]) == ("missing", "new")


def test_a_base_that_does_not_run_with_these_packages_is_said(repository: Repository) -> None:
    repository.commit({"core/hot.py": "import not_installed\n"})
    repository.commit({"core/hot.py": CODE})
    done = gate(repository, "--processes", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No module named 'not_installed'" in done.stderr
    assert last_line_but_the_time(done).endswith(
        "base cannot be timed, see above; it may need other packages than those installed"
    )


def test_an_operation_that_head_has_broken_is_said(repository: Repository) -> None:
    repository.commit({"core/hot.py": CODE.replace("return sum", "return summ")})
    done = gate(repository, "--processes", "1")
    assert "NameError: name 'summ' is not defined" in done.stderr
    assert last_line_but_the_time(done).startswith("speed.py: no speeds are compared: head cannot be timed")


def test_a_machine_on_which_it_takes_too_long_is_said_and_no_process_stays(repository: Repository) -> None:
    repository.commit({"core/hot.py": "import time\ntime.sleep(60)\n"})
    done = gate(repository, "--processes", "1", "--limit", "3")
    assert done.returncode == 0, done.stdout + done.stderr
    assert last_line_but_the_time(done) == "speed.py: no speeds are compared: it takes more than 3 s here"
    worker = os.fsencode(repository.folder / "ci" / "speed_worker.py")
    assert not [path for path in Path("/proc").glob("[0-9]*/cmdline") if worker in _content(path)]


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it has ended
        return b""


@pytest.mark.parametrize(
    ("changed", "base", "reason"),
    [
        ({"core/hot.py": SLOWED}, "HEAD^^", "there is no revision HEAD^^ here (a shallow clone?)"),
        ({"README.md": "docs only"}, "HEAD^", "HEAD^ has the same code"),
        ({"benchmarks/components.py": "", "core/hot.py": SLOWED}, "HEAD^", "HEAD^ has other benchmarks"),
    ],
)
def test_where_there_is_nothing_to_compare_it_says_why_and_passes(
    repository: Repository, changed: dict[str, str], base: str, reason: str
) -> None:
    repository.commit(changed)
    done = gate(repository, "--base", base)
    assert (done.returncode, done.stderr) == (0, "")
    assert last_line_but_the_time(done) == f"speed.py: no speeds are compared: {reason}"
