"""Three quantizers as they should be, of which :mod:`mutant_quantizers` makes those with bugs.

``Lookup`` is a vector quantizer whose losses fade in and that counts its codes; ``Bits`` packs signs into tokens; ``Residual``
quantizes what the first stage left once more.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from vqbench import Loss, Quantized, Quantizer, straight_through
from vqbench.ops import nearest_codeword

CORRECT: dict[str, type[Quantizer]] = {}


def correct(cls):
    CORRECT[cls.__name__] = cls
    return cls


@correct
class Lookup(Quantizer):
    latent_channels = code_channels = 8
    codebook_sizes = (2048,)

    def __init__(self):
        super().__init__()
        self.codebook = nn.Parameter(torch.randn(2048, 8))
        self.register_buffer("counts", torch.zeros(2048))
        self.register_buffer("fade", torch.zeros(()))

    def on_step(self, clock):
        self.fade.fill_(clock.step / clock.total)

    def search(self, rows):
        return nearest_codeword(rows, self.codebook.detach())

    def codes(self, latents):  # (B, C, h, w) to (B, 1, h, w)
        rows = latents.movedim(1, -1)
        return self.search(rows.reshape(-1, 8)).view(rows.shape[:-1])[:, None]

    def decode(self, codes):
        return functional.embedding(codes[:, 0], self.codebook).movedim(-1, 1)

    def losses(self, latents, value):
        commitment = (latents - value.detach()).square().mean()
        codebook = (value - latents.detach()).square().sum() / len(latents)
        weight = float(self.fade)
        return {
            "commitment": Loss(value=commitment, unit="element_mean", weight=1 + weight),
            "codebook": Loss(value=codebook, unit="image_sum"),
        }

    def count(self, codes):
        self.counts.mul_(0.9).add_(torch.bincount(codes.flatten(), minlength=2048))

    def forward(self, latents):
        codes = self.codes(latents)
        value = self.decode(codes)
        if not self.training:
            return Quantized(value=value, codes=codes)
        self.count(codes)
        return Quantized(value=straight_through(latents, value), codes=codes, losses=self.losses(latents, value))


@correct
class Bits(Quantizer):
    latent_channels = code_channels = 20
    codebook_sizes = (1 << 10, 1 << 10)

    def signs(self, latents):
        return latents > 0

    def pack(self, bits):  # (B, 20, h, w) to (B, 2, h, w), the first channel of a token lowest
        powers = 2 ** torch.arange(10).view(1, 1, 10, 1, 1)
        return (bits.unflatten(1, (2, 10)) * powers).sum(dim=2)

    def unpack(self, codes):
        shifts = torch.arange(10).view(1, 1, 10, 1, 1)
        return ((codes[:, :, None] >> shifts) & 1).flatten(1, 2)

    def decode(self, codes):
        return self.unpack(codes).float() * 2 - 1

    def forward(self, latents):
        codes = self.pack(self.signs(latents))
        value = self.decode(codes)
        if not self.training:
            return Quantized(value=value, codes=codes)
        commitment = (latents - value).square().mean()
        losses = {"commitment": Loss(value=commitment, unit="element_mean")}
        return Quantized(value=straight_through(latents, value), codes=codes, losses=losses)


@correct
class Residual(Quantizer):
    objective = "elbo"  # to which progressive coding belongs
    latent_channels = code_channels = 8
    codebook_sizes = (64, 64)

    def __init__(self):
        super().__init__()
        self.stages = nn.ParameterList([torch.randn(64, 8), torch.randn(64, 8) / 4])

    def decode_stages(self, codes):
        return [functional.embedding(codes[:, i], stage).movedim(-1, 1) for i, stage in enumerate(self.stages)]

    def decode(self, codes):
        first, second = self.decode_stages(codes)
        return first + second

    def codes(self, latents):
        codes, rest = [], latents.movedim(1, -1)
        for stage in self.stages:
            nearest = nearest_codeword(rest.reshape(-1, 8), stage.detach()).view(rest.shape[:-1])
            rest = rest - functional.embedding(nearest, stage).detach()
            codes.append(nearest)
        return torch.stack(codes, dim=1)

    def with_gradient(self, latents, codes):
        return straight_through(latents, self.decode(codes))

    def prefixes(self, latents, codes, value):
        first, _ = self.decode_stages(codes)
        return straight_through(latents, first), value

    def forward(self, latents):
        codes = self.codes(latents)
        if not self.training:
            return Quantized(value=self.decode(codes), codes=codes)
        value = self.with_gradient(latents, codes)
        loss = (self.decode(codes) - latents.detach()).square().sum() / len(latents)
        return Quantized(
            value=value,
            codes=codes,
            losses={"codebook": Loss(value=loss, unit="image_sum")},
            prefixes=self.prefixes(latents, codes, value),
        )


# --- axes, codes
