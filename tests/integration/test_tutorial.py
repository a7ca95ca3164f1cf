"""The tutorial, followed literally, works and makes the example that is kept beside it."""

from __future__ import annotations

import re
from pathlib import Path

from followed_document import blocks_of, follow
from fresh_environment import fresh_environment

DOCS = Path(__file__).parents[2] / "docs"
TUTORIAL = (DOCS / "tutorial.md").read_text()
EXAMPLE = DOCS / "examples" / "simvq"
BY_PRODUCTS = {"results", "dist", ".pytest_cache", ".benchmarks", "__pycache__"}


def files(folder: Path) -> dict[str, str]:
    """Texts of a project's files by path, without what commands left there."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in paths
        if BY_PRODUCTS.isdisjoint(path.relative_to(folder).parts)
    }


def test_every_block_does_what_the_tutorial_says_and_the_result_is_the_example(tmp_path):
    desk = tmp_path / "desk"
    desk.mkdir()
    project = follow(TUTORIAL, desk, fresh_environment(tmp_path / "environment"))
    assert project == desk / "vqbench-simvq"
    assert files(project) == files(EXAMPLE)
    assert [wheel.name for wheel in (project / "dist").iterdir()] == ["vqbench_simvq-0.1.0-py3-none-any.whl"]


def test_the_tutorial_says_how_many_commands_it_has():
    commands = sum(len(block.body.splitlines()) for block in blocks_of(TUTORIAL) if block.language == "sh")
    said = re.search(r"There are (\d+) commands", TUTORIAL)
    assert said
    assert int(said[1]) == commands
