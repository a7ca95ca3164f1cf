"""LPIPS without its trunk's weights, and the module of the package that defines it."""

import importlib.util
import warnings
from pathlib import Path

import torch
from torch import nn

from vqbench.worker.lpips import NETS
from vqbench.worker.weights.state_file import load_state

HEADS = Path(importlib.util.find_spec("lpips").origin).parent / "weights" / "v0.1"


def random_state(net):
    """A random trunk, of torchvision's shapes, and the real heads."""
    channels = {"alex": [64, 192, 384, 256, 256], "vgg": [64, 64, 128, 128, *[256] * 3, *[512] * 6]}[net]
    kernels = {"alex": [11, 5, 3, 3, 3], "vgg": [3] * 13}[net]
    state, before = {}, 3
    torch.manual_seed(3)
    for index, width, kernel in zip(NETS[net].convolutions, channels, kernels, strict=True):
        layer = nn.Conv2d(before, width, kernel)
        state |= {f"features.{index}.weight": layer.weight.detach() * 2, f"features.{index}.bias": layer.bias.detach()}
        before = width
    heads = load_state(HEADS / f"{net}.pth")
    return state | {f"lin{i}": heads[f"lin{i}.model.1.weight"] for i in range(5)}


def defining(net, state):
    """The package's own module with that trunk."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it calls torchvision as it was
        import lpips as package

        theirs = package.LPIPS(net=net, pnet_rand=True, verbose=False).eval()
    for name, parameter in theirs.net.named_parameters():
        parameter.data.copy_(state["features." + name.partition(".")[2]])
    return theirs
