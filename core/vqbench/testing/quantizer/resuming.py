"""Checks of state: it is all in parameters and buffers, so that a run goes on from a checkpoint as if it had never stopped."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from vqbench.interfaces import Quantizer
from vqbench.testing.check import Check, check, expect
from vqbench.testing.quantizer.parts import changed_names, evaluated, latents_of, quantizers_of, train, trained
from vqbench.testing.subject import Subject
from vqbench.worker.checkpoint import load_weights, weights
from vqbench.worker.tensor_file import read_tensor_file, write_tensor_file

__all__ = ["RESUMING_CHECKS"]

STEPS = 2


@check(
    protects="A trained tokenizer is evaluated from its checkpoint: what is not in it is lost.",
    fix="Keep tensors that training or fit() changes as parameters or persistent buffers, of a shape known when built.",
)
@torch.no_grad()
def state_survives_saving(subject: Subject) -> None:
    for quantizer, fresh in zip(evaluated(subject), quantizers_of(subject), strict=True):
        _reload(quantizer, fresh.eval())
        for latents in latents_of(quantizer):
            expected, got = quantizer(latents), fresh(latents)
            same = torch.equal(got.codes, expected.codes) and torch.equal(got.value, expected.value)
            expect(same, "a quantizer evaluates otherwise after it was saved and loaded")


@check(
    protects="Interrupted runs go on from their last checkpoint, and their numbers stand beside those that were not.",
    fix="Keep whatever adapts in buffers, take what anneals from on_step's clock, and draw from torch's global generator only.",
)
def a_resumed_run_equals_an_uninterrupted_one(subject: Subject) -> None:
    for whole, first, second in zip(trained(subject), quantizers_of(subject), quantizers_of(subject), strict=True):
        first.load_state_dict(whole.state_dict())
        expected = train(whole, range(2 * STEPS), total=2 * STEPS)
        train(first, range(STEPS), total=2 * STEPS)
        _reload(first, second)
        got = train(second, range(STEPS, 2 * STEPS), total=2 * STEPS)
        expect(torch.equal(got.value, expected.value), "the last step's value differs", expected="bit for bit the same")
        for name, loss in expected.losses.items():
            same = torch.equal(got.losses[name].value, loss.value) and got.losses[name].weight == loss.weight
            expect(same, f"the last step's {name} differs", got=got.losses[name].value, expected=loss.value)
        changed = changed_names(whole.state_dict(), second.state_dict())
        expect(not changed, "the state differs", got=changed, expected="bit for bit the same")


def _reload(quantizer: Quantizer, fresh: Quantizer) -> None:
    """Bring the state of one into another through a file, as checkpoints do."""
    with TemporaryDirectory(prefix="vqbench-check-") as folder:
        path = Path(folder) / "state.safetensors"
        write_tensor_file(path, weights(quantizer), {})
        load_weights(fresh, read_tensor_file(path)[1], path)


RESUMING_CHECKS: tuple[Check, ...] = (state_survives_saving, a_resumed_run_equals_an_uninterrupted_one)
