"""LPIPS, version 0.1: a distance of images that goes with what people see (Zhang et al., CVPR 2018, arXiv 1801.03924)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, max_pool2d, relu

from vqbench.assets import Located, locate
from vqbench.errors import DataError, TensorError
from vqbench.worker.weights.state_file import load_state

__all__ = ["LPIPS", "NETS", "Net", "Trunk", "load_lpips"]

Net: TypeAlias = Literal["alex", "vgg"]

SHIFT = (-0.030, -0.088, -0.188)
SCALE = (0.458, 0.448, 0.450)
EPSILON = 1e-10
CHUNK_PIXELS = 8 * 256 * 256
"""Pixels of originals that go through the trunk at once: bounds the memory of a large batch."""


@dataclass(frozen=True, kw_only=True)
class Trunk:
    """A network of convolutions as torchvision numbers its layers.

    Attributes:
        convolutions: index of each.
        strides, paddings: of each.
        pools: index of a max pooling of stride 2: its window.
        taps: indices of the ReLUs whose outputs are compared.
        smallest: shortest side of an image in pixels.
    """

    convolutions: tuple[int, ...]
    strides: tuple[int, ...]
    paddings: tuple[int, ...]
    pools: Mapping[int, int]
    taps: tuple[int, ...]
    smallest: int


NETS: Mapping[str, Trunk] = {
    "alex": Trunk(
        convolutions=(0, 3, 6, 8, 10),
        strides=(4, 1, 1, 1, 1),
        paddings=(2, 2, 1, 1, 1),
        pools={2: 3, 5: 3},
        taps=(1, 4, 7, 9, 11),
        smallest=31,
    ),
    "vgg": Trunk(
        convolutions=(0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28),
        strides=(1,) * 13,
        paddings=(1,) * 13,
        pools={4: 2, 9: 2, 16: 2, 23: 2},
        taps=(3, 8, 15, 22, 29),
        smallest=16,
    ),
}


class LPIPS(nn.Module):
    """Distances of pairs of images in float32, differentiable in both; its weights are not trained.

    Each tapped layer's features are scaled to unit length at every position; their squared differences, weighted by channel,
    are averaged over positions and summed over layers.

    Args:
        net: the trunk.
        state: ``features.N.weight`` and ``.bias`` of its convolutions, ``lin0`` to ``lin4`` as ``(1, C, 1, 1)``.

    Raises:
        DataError: ``state`` lacks a tensor.
    """

    def __init__(self, net: Net, state: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.trunk = NETS[net]
        self.register_buffer("shift", torch.tensor(SHIFT).view(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor(SCALE).view(1, 3, 1, 1))
        names = [f"features.{i}.{part}" for i in self.trunk.convolutions for part in ("weight", "bias")]
        names += [f"lin{level}" for level in range(len(self.trunk.taps))]
        if missing := [name for name in names if name not in state]:
            raise DataError(f"These are no weights of LPIPS on {net}", got=f"no {missing[0]}")
        for name in names:
            self.register_buffer(name.replace(".", "_"), state[name].detach().float())

    def forward(self, originals: Tensor, reconstructions: Tensor) -> Tensor:
        """One distance per pair, ``(B,)``.

        Args:
            originals, reconstructions: ``(B, 3, H, W)`` in [-1, 1].

        Raises:
            TensorError: images of unequal shapes, or smaller than ``trunk.smallest``.
        """
        shape = originals.shape
        if shape != reconstructions.shape or len(shape) != 4 or shape[1] != 3:
            raise TensorError(
                "LPIPS compares pairs of RGB images",
                got=f"{tuple(shape)} and {tuple(reconstructions.shape)}",
                expected="twice (B, 3, H, W)",
            )
        if min(shape[-2:]) < self.trunk.smallest:
            raise TensorError(
                "LPIPS needs larger images",
                got=tuple(shape[-2:]),
                expected=f"{self.trunk.smallest} x {self.trunk.smallest} or more",
            )
        count = max(1, CHUNK_PIXELS // (shape[-2] * shape[-1]))
        with torch.autocast(originals.device.type, enabled=False):
            pairs = zip(torch.split(originals.float(), count), torch.split(reconstructions.float(), count), strict=True)
            return torch.cat([self._distances(x, y) for x, y in pairs])

    def _distances(self, x: Tensor, y: Tensor) -> Tensor:
        levels = enumerate(zip(self._features(x), self._features(y), strict=True))
        means = [
            conv2d((a - b).square(), self.get_buffer(f"lin{level}")).mean(dim=(1, 2, 3)) for level, (a, b) in levels
        ]
        return torch.stack(means).sum(dim=0)

    def _features(self, x: Tensor) -> Iterator[Tensor]:
        """Of each tapped layer, of unit length at each position."""
        trunk = self.trunk
        settings = zip(trunk.convolutions, trunk.strides, trunk.paddings, strict=True)
        convolutions = {index: (stride, padding) for index, stride, padding in settings}
        x = (x - self.get_buffer("shift")) / self.get_buffer("scale")
        for i in range(trunk.taps[-1] + 1):
            if i in convolutions:
                stride, padding = convolutions[i]
                weight, bias = (self.get_buffer(f"features_{i}_{part}") for part in ("weight", "bias"))
                x = conv2d(x, weight, bias, stride=stride, padding=padding)
            elif i in trunk.pools:
                x = max_pool2d(x, trunk.pools[i], 2)
            else:
                x = relu(x)
            if i in trunk.taps:
                # its derivative is 0 where all features are, where that of a root would not be finite
                yield x / (torch.linalg.vector_norm(x, dim=1, keepdim=True) + EPSILON)


def load_lpips(net: Net, device: torch.device) -> tuple[LPIPS, Located]:
    """LPIPS with the weights that are on this machine, and where they were found.

    Raises:
        UnavailableError: they are not here, or damaged; the message has the line to run.
    """
    located = locate(f"lpips_{net}")
    return LPIPS(net, load_state(located.path)).to(device), located
