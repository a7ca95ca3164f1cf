"""What `vqbench new-plugin` writes, as its author has it: beside an installed vqbench, built, tested, checked, run and ranked."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from fresh_environment import fresh_environment

from vqbench.cli import main
from vqbench.errors import UsageError
from vqbench.new_plugin import KINDS, Names, make_project

ROOT = Path(__file__).parents[2]
PLACEHOLDER = re.compile(r"my[-_](?:plugin|component)|MyComponent|\b(?:KIND|MODULE|CI_SUITE|VQBENCH_VERSION)\b")


def succeed(done):
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """An environment with the wheel of vqbench and a new plugin of each kind, without an index."""
    folder = tmp_path_factory.mktemp("environment")
    made = fresh_environment(folder / "venv")
    made.environment.pop("PYTHONPATH", None)  # or these sources would hide the wheel
    succeed(
        made.shell(
            f"pip wheel --quiet --no-deps -w wheels {ROOT} && pip install --quiet --no-deps wheels/*.whl", folder
        )
    )
    for kind in KINDS:
        succeed(made.shell(f"vqbench new-plugin vqbench-new-{kind} --kind {kind}", folder))
    succeed(made.shell("pip install --quiet --no-deps ./vqbench-new-*", folder))
    return made


def run(environment, kind, command):
    return environment.shell(command, environment.folder.parent / f"vqbench-new-{kind}")


def test_the_environment_runs_the_vqbench_of_the_wheel(environment):
    where = succeed(environment.shell("python -c 'import vqbench; print(vqbench.__file__)'", environment.folder))
    assert Path(where.strip()).is_relative_to(environment.folder)


@pytest.mark.parametrize("kind", KINDS)
def test_its_own_tests_pass_as_written_and_its_benchmarks_run(environment, kind):
    told = succeed(run(environment, kind, "pytest -q -p no:cacheprovider --benchmark-disable tests benchmarks"))
    assert re.search(r"\b\d+ passed", told)
    assert not re.search(r"failed|error|xfailed", told)


def test_it_passes_the_conformance_kit(environment):
    checks = json.loads(
        succeed(run(environment, "quantizer", "vqbench check vqbench-new-quantizer --json 2>/dev/null"))
    )
    statuses = [check["status"] for check in checks["checks"]]
    assert set(statuses) <= {"passed", "not applicable"}
    assert statuses.count("passed") > len(statuses) / 2


def test_its_suite_runs_and_ranks_it_beside_a_built_in_method(environment, tmp_path):
    succeed(
        run(environment, "quantizer", f"vqbench run ci/suite.toml --set recipe.steps=2 --results {tmp_path} --quiet")
    )
    told = succeed(run(environment, "quantizer", f"vqbench leaderboard {tmp_path} --board quality --json 2>/dev/null"))
    rows = json.loads(told)["rows"]
    assert {row["quantizer"] for row in rows} == {"vqbench-new-quantizer/new-quantizer", "fsq"}
    assert all(row["rank"] and row["bits_per_image"] == 192 for row in rows)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "quantizer"])
def test_the_suite_of_any_kind_is_one_that_can_be_planned(environment, kind):
    suite = make_project(Names(f"vqbench-other-{kind}"), kind).suite.replace("other", "new")
    plan = json.loads(succeed(run(environment, kind, f"vqbench plan {suite} --json 2>/dev/null")))
    assert len(plan["cells"]) >= 2
    assert not plan["skips"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_name_is_put_in_and_ci_runs_what_is_there(kind):
    project = make_project(Names("vqbench-fresh"), kind)
    for path, text in project.files.items():
        assert not PLACEHOLDER.search(path + text), path
    jobs = yaml.safe_load(project.files[".github/workflows/vqbench.yml"])["jobs"]
    [gate] = [step["env"] for step in jobs["compare"]["steps"] if "env" in step]
    assert gate["SUITE"] == project.suite in project.files
    assert gate["GATE"] in project.files
    assert any(path.startswith(gate["BENCHMARKS"] + "/test_") for path in project.files)
    assert any("vqbench check vqbench-fresh" in step.get("run", "") for step in jobs["test"]["steps"])


def test_names_follow_from_the_plugins():
    names = Names("vqbench_two-words")
    assert (names.plugin, names.package) == ("vqbench-two-words", "vqbench_two_words")
    assert (names.component, names.class_name) == ("two-words", "TwoWords")
    assert Names("plain-name").component == "plain-name"


@pytest.mark.parametrize("name", ["", "Upper", "a b", "1st", "../up", "-x", "a--b", "ünïcode", "x" * 61])
def test_what_is_no_name_is_refused(name):
    with pytest.raises(UsageError, match="no name for a plugin"):
        Names(name)


@pytest.mark.parametrize("name", ["random", "torch", "vqbench"])
def test_a_plugin_that_would_hide_a_module_is_refused_with_a_better_name(name):
    with pytest.raises(UsageError, match=f"vqbench new-plugin vqbench-{name}"):
        Names(name)


def test_what_lies_in_the_folder_is_never_overwritten(tmp_path):
    (tmp_path / "precious.txt").write_text("mine")
    done = CliRunner().invoke(main, ["new-plugin", "vqbench-fresh", "--out", str(tmp_path)])
    assert done.exit_code == 2
    assert "something in" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["precious.txt"]


def test_the_command_says_what_it_wrote_and_what_comes_next(tmp_path):
    done = CliRunner().invoke(main, ["new-plugin", "vqbench-fresh", "--out", str(tmp_path / "new")])
    assert done.exit_code == 0
    for text in (
        "vqbench_fresh/quantizer.py",
        f"cd {tmp_path / 'new'}",
        "pip install -e . --group test",
        "vqbench run ci/suite.toml",
    ):
        assert text in done.stdout
