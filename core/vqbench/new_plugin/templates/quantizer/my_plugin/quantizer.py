"""A scalar quantizer: each channel is bounded and rounded to the nearest of equally spaced values."""

import torch
from torch import Tensor

from vqbench import Quantized, Quantizer, straight_through


class MyComponent(Quantizer):
    """Rounds tanh of each channel to `steps` equally spaced values on [-1, 1]; the gradient is that of tanh."""

    def __init__(self, channels: int, steps: int) -> None:
        super().__init__()
        self.latent_channels = self.code_channels = channels
        self.codebook_sizes = (steps,) * channels
        self.last = steps - 1

    def forward(self, latents: Tensor) -> Quantized:  # (B, C, h, w), float32
        bounded = torch.tanh(latents)
        codes = ((bounded + 1) / 2 * self.last).round().long()  # (B, T = C, h, w), slot t in [0, steps)
        value = self.decode(codes)
        if self.training:
            value = straight_through(bounded, value)
        return Quantized(value=value, codes=codes)  # and losses={"commitment": Loss(value=…, unit="element_mean")}, say

    def decode(self, codes: Tensor) -> Tensor:  # (B, T, h, w) to (B, C, h, w), from the codes alone
        return codes.float() / self.last * 2 - 1
