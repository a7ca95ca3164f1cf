"""How quickly the command line answers: the goals are 0.3 s for --help and 0.5 s for list, on an idle machine; with a plugin of
ten thousand components list may take 0.5 s more."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("arguments", [["--help"], ["list"], ["show", "fsq"], ["plugins"], ["plan"]], ids=" ".join)
def test_a_command_answers(benchmark, arguments):
    command = [sys.executable, "-m", "vqbench", *arguments]
    benchmark.pedantic(
        lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL), rounds=10, warmup_rounds=1
    )


MANY = """
from vqbench import LevelPlan, Parameter, QuantizerSpec, hookimpl

@hookimpl
def vqbench_quantizers():
    for n in range(10_000):
        yield QuantizerSpec(
            name=f"thing-{n}", target="a.b:C", summary=f"thing number {n}", levels=lambda p: [],
            parameters=(Parameter(name="channels", type="int", default=4, summary="latent channels"),),
        )
"""


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["list"], 0), (["list", "--json"], 0), (["show", "thing-l0"], 2)],
    ids=["list", "list --json", "a misspelt name"],
)
def test_a_command_answers_with_ten_thousand_components(benchmark, tmp_path, arguments, code):
    (tmp_path / "many.py").write_text(MANY)
    command = [sys.executable, "-m", "vqbench", *arguments, "--plugin", str(tmp_path / "many.py")]

    def answer():
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        assert done.returncode == code

    benchmark.pedantic(answer, rounds=10, warmup_rounds=1)


def test_python_alone(benchmark):
    """The peer in the same run: what the interpreter takes to start and stop."""
    benchmark.pedantic(lambda: subprocess.run([sys.executable, "-c", ""], check=True), rounds=10, warmup_rounds=1)
