"""LPIPS of originals and reconstructions."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor

from vqbench.assets import Located
from vqbench.interfaces import EvaluationBatch, EvaluationContext, Measurement, PerImageMetric
from vqbench.worker.lpips import LPIPS, NETS, Net, load_lpips

__all__ = ["LPIPSVGG", "LPIPSAlex"]


class LPIPSAlex(PerImageMetric):
    """Mean over images of LPIPS v0.1 on AlexNet, of uint8 RGB scaled to [-1, 1].

    Null where the weights are not here, and for images smaller than the trunk takes.
    """

    net: ClassVar[Net] = "alex"

    def __init__(self) -> None:
        super().__init__()
        self._loaded: tuple[LPIPS, Located] | None = None
        self._too_small: tuple[int, ...] | None = None

    def prepare(self, context: EvaluationContext) -> None:
        self._load(context.device)

    def _load(self, device: torch.device) -> LPIPS:
        if self._loaded is None:
            self._loaded = load_lpips(self.net, device)
        return self._loaded[0]

    def update(self, batch: EvaluationBatch) -> None:
        size = tuple(batch.originals_uint8.shape[-2:])
        if min(size) < NETS[self.net].smallest:
            self._too_small = size
        else:
            super().update(batch)

    def per_image(self, batch: EvaluationBatch) -> Tensor:
        originals, reconstructions = (
            images.float() / 127.5 - 1 for images in (batch.originals_uint8, batch.reconstructions_uint8)
        )
        # no TF32 in convolutions on a GPU; only what is not named here would go back to torch's defaults
        cudnn = torch.backends.cudnn
        settings = {"enabled": cudnn.enabled, "benchmark": cudnn.benchmark, "deterministic": cudnn.deterministic}
        with cudnn.flags(**settings, allow_tf32=False):
            distances: Tensor = self._load(originals.device)(originals, reconstructions)
        return distances

    def compute(self) -> Measurement:
        if self._too_small:
            height, width = self._too_small
            side = NETS[self.net].smallest
            reason = f"images of {height} x {width} pixels are smaller than the {side} x {side} that the network takes"
            return Measurement(value=None, reason=reason)
        measured = super().compute()
        return measured if self._loaded is None else replace(measured, details=self._loaded[1].details)


class LPIPSVGG(LPIPSAlex):
    """The same on VGG-16: the net of training losses, with values of its own."""

    net = "vgg"
