"""The house keeps its shape: who imports whom, style, types, and what the project's files may mention."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = sorted(p for folder in ("core", "plugins") for p in (ROOT / folder).rglob("*.py"))


def check(*command):
    environment = os.environ | {"PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_layers_hold_core_never_imports_plugins_and_only_the_worker_side_imports_torch():
    check("-c", "from importlinter.cli import lint_imports_command; lint_imports_command(['--no-cache'])")


def test_the_code_is_linted_and_formatted():
    check("-m", "ruff", "check", ".")
    check("-m", "ruff", "format", "--check", ".")


def test_both_packages_are_strictly_typed():
    check("-m", "mypy")


def test_nothing_is_ever_unpickled_from_a_file():
    forbidden = re.compile(
        r"pickle\.loads?\(|torch\.load\((?!.*weights_only=True)|joblib|marshal\.load|(?<![.\w])(eval|exec)\(|allow_pickle=True"
    )
    for path in SOURCES:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if "pickle.loads(job)" not in line:  # a worker's job, from its own parent's memory
                assert not forbidden.search(line), f"{path.relative_to(ROOT)}:{number}: {line.strip()}"


def test_files_hold_one_idea_each():
    lengths = {path.relative_to(ROOT): len(path.read_text().splitlines()) for path in SOURCES}
    assert not {path: n for path, n in lengths.items() if n > 400}


def test_both_packages_are_installed_from_one_distribution_with_type_markers():
    files = {str(path) for path in metadata.files("vqbench") or []}
    for package in ("core/vqbench", "plugins/vqbench_plugins"):
        assert (ROOT / package / "py.typed").exists()
    assert files  # the distribution knows what it installed
    points = metadata.entry_points(group="vqbench")
    assert any(p.value == "vqbench_plugins.plugin" and p.dist and p.dist.name == "vqbench" for p in points)


def test_the_readme_has_exactly_two_set_up_commands_and_ci_runs_the_second():
    readme = (ROOT / "README.md").read_text()
    commands = [line for line in readme.splitlines() if line.startswith("python3 -m venv")]
    assert len(commands) == 2
    assert commands[0].endswith("vqbench run")
    assert "/pytest" in commands[1]
    extract = re.search(r"^command=\$\((.*)\)$", (ROOT / ".ci/run").read_text(), re.MULTILINE)
    assert extract is not None
    taken = subprocess.run(["bash", "-c", extract[1]], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert taken.strip() == commands[1]


def test_the_version_is_said_once_and_alike():
    import vqbench

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == vqbench.__version__
    assert f"## {vqbench.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_public_modules_name_what_they_export():
    for path in SOURCES:
        text = path.read_text()
        if (
            path.name == "__main__.py"
            or "templates" in path.parts
            or not re.search(r"^(def|class) [a-zA-Z]", text, re.MULTILINE)
        ):
            continue
        assert "__all__" in text, path.relative_to(ROOT)
