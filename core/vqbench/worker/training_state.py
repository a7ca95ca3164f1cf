"""What a training run needs, beside the tokenizer's weights, to go on as if it had never stopped."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor
from torch.optim import Optimizer

from vqbench.worker.adversary import Adversary
from vqbench.worker.checkpoint import load_weights, weights
from vqbench.worker.optimizer import WeightAverage
from vqbench.worker.tensor_file import check_tensors, damaged

__all__ = ["collect_state", "restore_state"]

MOMENTS = ("exp_avg", "exp_avg_sq", "step")


def collect_state(
    optimizer: Optimizer, average: WeightAverage | None, adversary: Adversary | None
) -> dict[str, Tensor]:
    """All of it as named tensors. (Random numbers need no state: every step derives its own seed.)"""
    state = _prefixed("optimizer", _moments(optimizer))
    if average is not None:
        state |= _prefixed("average", average.tensors)
    if adversary is not None:
        state |= _prefixed("discriminator", weights(adversary.discriminator))
        state |= _prefixed("discriminator_optimizer", _moments(adversary.optimizer))
    return state


def restore_state(
    tensors: Mapping[str, Tensor],
    optimizer: Optimizer,
    average: WeightAverage | None,
    adversary: Adversary | None,
    path: Path,
) -> None:
    """Put collected state back.

    Args:
        tensors: as :func:`collect_state` returned them.
        optimizer, average, adversary: fresh ones of the same unit.
        path: the file they came from, for messages.

    Raises:
        CheckpointError: it is the state of something else.
    """
    parts = ["optimizer", *(["average"] if average else [])]
    parts += ["discriminator", "discriminator_optimizer"] if adversary else []
    if foreign := sorted({name.partition("/")[0] for name in tensors} - set(parts)):
        raise damaged(path, got=f"the state of {foreign[0][:40]}", expected=", ".join(parts))
    _load_moments(optimizer, _unprefixed("optimizer", tensors), path)
    if average is not None:
        of_average = _unprefixed("average", tensors)
        check_tensors(path, of_average, average.tensors)
        for name, tensor in average.tensors.items():
            tensor.copy_(of_average[name])
    if adversary is not None:
        load_weights(adversary.discriminator, _unprefixed("discriminator", tensors), path)
        _load_moments(adversary.optimizer, _unprefixed("discriminator_optimizer", tensors), path)


def _moments(optimizer: Optimizer) -> dict[str, Tensor]:
    """Adam's moments as ``"<index of the parameter>/<name>"``; parameters that never had a gradient have
    none.
    """
    state = optimizer.state_dict()["state"]
    return {f"{index}/{name}": of_one[name] for index, of_one in state.items() for name in MOMENTS}


def _load_moments(optimizer: Optimizer, tensors: Mapping[str, Tensor], path: Path) -> None:
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    indices = {name.partition("/")[0] for name in tensors}
    known = {str(i): p for i, p in enumerate(parameters)}
    if foreign := indices - known.keys():
        raise damaged(path, got=f"an optimiser's state of parameter {min(foreign)[:40]!r}")
    expected = {
        f"{index}/{name}": known[index].new_zeros(()).float() if name == "step" else known[index]
        for index in indices
        for name in MOMENTS
    }
    check_tensors(path, tensors, expected)
    state = {int(index): {name: tensors[f"{index}/{name}"] for name in MOMENTS} for index in indices}
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}/{name}": tensor for name, tensor in tensors.items()}


def _unprefixed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(f"{prefix}/"): t for name, t in tensors.items() if name.startswith(f"{prefix}/")}
