"""How quickly the command line answers: the goals are 0.3 s for --help and 0.5 s for list, on an idle machine."""

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


def test_python_alone(benchmark):
    """The peer in the same run: what the interpreter takes to start and stop."""
    benchmark.pedantic(lambda: subprocess.run([sys.executable, "-c", ""], check=True), rounds=10, warmup_rounds=1)
