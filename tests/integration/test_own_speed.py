"""vqbench's own gate on speed, in small repositories that have its scripts and a hot operation."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from repositories import Repository

ROOT = Path(__file__).parents[2]
SCRIPTS = {f"ci/{name}": (ROOT / "ci" / name).read_text() for name in ("speed.sh", "speed.toml")}
BENCHMARKS = """
import pytest
from hot import work

@pytest.mark.parametrize("which", ["slowed", "left"])
def test_forward(benchmark, which):
    benchmark(work, which)
"""
CODE = "def work(which):\n    return sum(range(1000))\n"
SLOWED = "def work(which):\n    return sum(range(2000 if which == 'slowed' else 1000))\n"


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "repository")
    made.commit(
        SCRIPTS
        | {
            "benchmarks/test_components.py": BENCHMARKS,
            "core/hot.py": CODE,
            "plugins/x.py": "",
            ".gitignore": "__pycache__",
        }
    )
    for script in (made.folder / "ci").glob("*.sh"):
        script.chmod(0o755)
    return made


def gate(repository: Repository, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["ci/speed.sh", str(Path(sys.executable).parent)],
        cwd=repository.folder,
        env=repository.environment | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_operation_that_takes_twice_as_long_fails_and_the_one_beside_it_does_not(repository: Repository) -> None:
    repository.commit({"core/hot.py": SLOWED})
    done = gate(repository, PASSES="5")
    assert done.returncode == 1, done.stdout + done.stderr
    [row] = (line for line in done.stdout.splitlines() if "WORSE" in line)
    assert "test_forward\\[slowed\\]" in row
    assert repository.git("status", "--porcelain") == ""
    assert repository.git("worktree", "list").count("\n") == 1


def test_a_base_that_does_not_run_with_these_packages_is_said(repository: Repository) -> None:
    repository.commit({"core/hot.py": "import not_installed\n"})
    repository.commit({"core/hot.py": CODE})
    done = gate(repository)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No module named 'not_installed'" in done.stdout
    assert done.stdout.endswith("HEAD^ may need other packages than those installed\n")


def test_a_machine_on_which_it_takes_too_long_is_said(repository: Repository) -> None:
    repository.commit({"core/hot.py": "import time\ntime.sleep(60)\n"})
    done = gate(repository, LIMIT="2")
    assert (done.returncode, done.stdout) == (0, "speed.sh: no speeds are compared: 7 passes take more than 2 s here\n")
    assert repository.git("worktree", "list").count("\n") == 1


@pytest.mark.parametrize(
    ("changed", "base", "reason"),
    [
        ({"core/hot.py": SLOWED}, "HEAD^^", "there is no revision HEAD^^ here (a shallow clone?)"),
        ({"README.md": "docs only"}, "HEAD^", "HEAD^ has the same code"),
        ({"benchmarks/test_components.py": "", "core/hot.py": SLOWED}, "HEAD^", "HEAD^ has other benchmarks"),
    ],
)
def test_where_there_is_nothing_to_compare_it_says_why_and_passes(
    repository: Repository, changed: dict[str, str], base: str, reason: str
) -> None:
    repository.commit(changed)
    done = gate(repository, BASE=base)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"speed.sh: no speeds are compared: {reason}\n"


def test_the_script_says_what_it_lacks(repository: Repository) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "vqbench.ci"], cwd=repository.folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr == "compare.sh: SUITE or BENCHMARKS must be set\n"
