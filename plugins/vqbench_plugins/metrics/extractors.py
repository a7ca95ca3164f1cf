"""Pretrained networks whose features distributions of images are compared by."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from vqbench import assets
from vqbench.worker.lpips import LPIPS, NETS
from vqbench.worker.weights.state_file import load_state

__all__ = ["AlexNet256", "Extractor", "InceptionPool3"]

CHUNK: dict[str, int] = {"cpu": 32, "cuda": 128}
"""Most images that are in the network at once, by type of device: what bounds the memory, whatever the evaluation's batch."""


class Extractor(ABC):
    """A pretrained network on a device; another network is another subclass, and metrics of other names.

    Args:
        device: where the images will be.

    Raises:
        UnavailableError: the weights are not on this machine, or damaged.
    """

    name: ClassVar[str]
    """Of the network and the layer; part of the key that features are cached by."""
    weights: ClassVar[str]
    """Of the asset that holds the network's weights."""
    dimension: ClassVar[int]
    """D, features per image."""
    smallest: ClassVar[int] = 1
    """Shortest side in pixels that the network takes."""
    resize: ClassVar[str]
    """What is done to the images' size, in a few words for the record."""

    def __init__(self, device: torch.device) -> None:
        self.located = assets.locate(self.weights)
        self.device = device
        self.network = self.build(load_state(self.located.path)).to(device).eval().requires_grad_(False)
        if device.type == "cpu":
            self.network.to(memory_format=torch.channels_last)  # half as fast again

    @abstractmethod
    def build(self, state: Mapping[str, Tensor]) -> nn.Module:
        """The network, from uint8 images ``(B, 3, H, W)`` to features ``(B, D)``, with the weights of a verified file."""

    def __call__(self, images: Tensor) -> Tensor:
        """Features of uint8 images ``(B, 3, H, W)``: float32 ``(B, D)`` on the CPU, computed in full float32."""
        chunk = CHUNK.get(self.device.type, min(CHUNK.values()))
        with (
            torch.inference_mode(),
            torch.autocast(self.device.type, enabled=False),
            torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False),
        ):
            return torch.cat([self.network(part).float().cpu() for part in torch.split(images, chunk)])


class InceptionPool3(Extractor):
    """Pool 3 of the Inception v3 of 2015-12-05 that FID is defined with: torch-fidelity's network, its resize to 299 included."""

    name = "inception-v3-compat 2048"
    weights = "inception"
    dimension = 2048
    resize = "to 299 x 299, TF1 bilinear, inside torch-fidelity"

    def build(self, state: Mapping[str, Tensor]) -> nn.Module:
        from torch_fidelity import FeatureExtractorInceptionV3

        # torch-fidelity unpickles what it is given without restriction: so it is given a copy that is written here
        copy = io.BytesIO()
        torch.save(dict(state), copy)
        copy.seek(0)
        return _Only(FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], feature_extractor_weights_path=copy))


class _Only(nn.Module):
    """The one layer that a torch-fidelity extractor was asked for."""

    def __init__(self, extractor: nn.Module) -> None:
        super().__init__()
        self.extractor = extractor

    def forward(self, images: Tensor) -> Tensor:
        (features,) = self.extractor(images)
        assert isinstance(features, Tensor)
        return features


class AlexNet256(Extractor):
    """The last ReLU of AlexNet as LPIPS uses it, mean over positions; images keep their size."""

    name = "alexnet relu5 mean"
    weights = "lpips_alex"
    dimension = 256
    smallest = NETS["alex"].smallest
    resize = "none"

    def build(self, state: Mapping[str, Tensor]) -> nn.Module:
        return _LastTap(LPIPS("alex", state))


class _LastTap(nn.Module):
    """The mean over positions of the last layer that LPIPS compares."""

    def __init__(self, lpips: LPIPS) -> None:
        super().__init__()
        self.lpips = lpips

    def forward(self, images: Tensor) -> Tensor:
        *_, last = self.lpips.taps(images / 127.5 - 1)
        return last.mean((2, 3))
