"""Training in a real process that is killed or interrupted, and goes on in another."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
import torch
from toy_unit import TOY_FOLDER, toy_catalog, toy_unit

from vqbench.worker.checkpoint import load_trained, newest_checkpoint, read_checkpoint
from vqbench.worker.trainer import train_unit

SCRIPT = """
import sys, time
from pathlib import Path
import torch
from toy_unit import toy_catalog, toy_unit
from vqbench.worker import trainer

trainer.REPORT_SECONDS = 0.0
torch.set_num_threads(1)

def report(progress):
    if progress.done == 6:
        print("waiting", flush=True)
        time.sleep(600)  # for the signal

try:
    trainer.train_unit(
        toy_unit(catalog := toy_catalog(), "two_noisy", {recipe}), catalog=catalog, folder=Path(sys.argv[1]),
        device=torch.device("cpu"), checkpoint_seconds=float(sys.argv[2]), report=report)
except KeyboardInterrupt:
    sys.exit(130)
"""
RECIPE = {"steps": 12, "ema_decay": 0.9, "gan_weight": 0.1, "gan_start": 4}


def train_and_signal(folder, number, *, checkpoint_seconds):
    """Train in a process of its own, send it a signal in the report of step 6, and return its exit code."""
    recipe = ", ".join(f"{key}={value!r}" for key, value in RECIPE.items())
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT.format(recipe=recipe), str(folder), str(checkpoint_seconds)],
        env={**os.environ, "PYTHONPATH": str(TOY_FOLDER)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        output = process.stdout.readline()
        process.send_signal(number)
        output += process.stdout.read()
    assert output.startswith("waiting"), output
    return process.returncode


@pytest.fixture
def train_here():
    """Train in this process, with as many threads as the other has."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    catalog = toy_catalog()
    unit = toy_unit(catalog, "two_noisy", **RECIPE)

    def run(folder):
        seen = []
        train_unit(
            unit,
            catalog=catalog,
            folder=folder,
            device=torch.device("cpu"),
            checkpoint_seconds=1e9,
            report=lambda progress: seen.append(progress.done),
        )
        return load_trained(folder, unit, catalog)[0].state_dict(), seen[0]

    yield run
    torch.set_num_threads(threads)


@pytest.mark.parametrize(
    ("number", "checkpoint_seconds", "code"),
    [(signal.SIGKILL, 0.0, -signal.SIGKILL), (signal.SIGINT, 1e9, 130)],
    ids=["killed after a checkpoint", "interrupted without one"],
)
def test_the_next_process_ends_bit_for_bit_where_an_uninterrupted_one_does(
    tmp_path, train_here, number, checkpoint_seconds, code
):
    folder = tmp_path / "stopped"
    assert train_and_signal(folder, number, checkpoint_seconds=checkpoint_seconds) == code
    assert read_checkpoint(newest_checkpoint(folder)).trained.steps == 6

    resumed, first_step = train_here(folder)
    assert first_step == 6
    uninterrupted, _ = train_here(tmp_path / "whole")
    assert [name for name in resumed if not torch.equal(resumed[name], uninterrupted[name])] == []
    assert [path.name for path in folder.iterdir()] == ["step-00000012"]
