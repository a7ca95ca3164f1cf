"""The classes behind ``toy_plugin``."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from vqbench import (
    Backbone,
    Dataset,
    Loss,
    ParameterGroup,
    Quantized,
    Quantizer,
    no_codes,
    straight_through,
)


class Convs(Backbone):
    def __init__(self, image_size, levels, width):
        super().__init__(image_size, levels)
        self.stems = nn.ModuleList(
            nn.Conv2d(3, level.latent_channels if i == 0 else width, level.stride, stride=level.stride)
            for i, level in enumerate(levels)
        )
        self.fusers = nn.ModuleList(
            nn.Conv2d(width + sum(c.code_channels for c in levels[:i]), level.latent_channels, 1)
            for i, level in enumerate(levels)
            if i
        )
        self.norm = nn.GroupNorm(1, sum(level.code_channels for level in levels))
        self.body = nn.Conv2d(sum(level.code_channels for level in levels), width, 3, padding=1)
        self.head = nn.Conv2d(width, 3 * levels[-1].stride ** 2, 1)

    def encode(self, images):
        return [stem(images * 2 - 1) for stem in self.stems]

    def fuse(self, level, features, values):
        return self.fusers[level - 1](torch.cat([features, *self._fitted(values, features)], dim=1))

    def decode(self, values):
        x = torch.cat(self._fitted(values, values[-1]), dim=1)
        x = self.head(F.silu(self.body(self.norm(x))))
        return F.pixel_shuffle(x, self.levels[-1].stride) / 2 + 0.5

    @property
    def last_layer(self):
        return self.head.weight

    def _fitted(self, values, like):
        return [F.interpolate(value, like.shape[-2:]) for value in values]


class NoisyVQ(Quantizer):
    def __init__(self, channels, codes):
        super().__init__()
        self.latent_channels = self.code_channels = channels
        self.codebook_sizes = (codes,)
        self.log_scale = nn.Parameter(torch.zeros(()))
        self.register_buffer("codebook", torch.randn(codes, channels))
        self.register_buffer("noise", torch.ones(()))
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    def on_step(self, clock):
        self.noise.fill_(1 - clock.step / clock.total)

    def forward(self, latents):
        scaled = latents * self.log_scale.exp()
        flat = scaled.permute(0, 2, 3, 1)
        if self.training:
            flat = flat + 0.1 * self.noise * torch.randn_like(flat)
        codes = torch.cdist(flat.reshape(-1, self.latent_channels), self.codebook).argmin(dim=1)
        codes = codes.view(len(latents), 1, *latents.shape[-2:])
        value = self.decode(codes)
        if not self.training:
            return Quantized(value=value, codes=codes)
        with torch.no_grad():
            one_hot = F.one_hot(codes.flatten(), len(self.codebook)).float()
            mean = one_hot.T @ flat.reshape(-1, self.latent_channels) / one_hot.sum(dim=0)[:, None].clamp(min=1)
            used = one_hot.sum(dim=0)[:, None] > 0
            self.codebook.lerp_(torch.where(used, mean, self.codebook), 0.1)
            self.seen += 1
        commit = F.mse_loss(scaled, value.detach())
        return Quantized(
            value=straight_through(scaled, value),
            codes=codes,
            losses={"commit": Loss(value=commit, unit="element_mean", weight=0.25)},
        )

    def decode(self, codes):
        return self.codebook[codes[:, 0]].permute(0, 3, 1, 2)

    def parameter_groups(self):
        return [ParameterGroup(parameters=[self.log_scale], lr_scale=10.0)]


class Gauss(Quantizer):
    codebook_sizes = ()

    def __init__(self, channels):
        super().__init__()
        self.latent_channels, self.code_channels = 2 * channels, channels

    def forward(self, latents):
        mean, log_variance = latents.chunk(2, dim=1)
        if not self.training:
            return Quantized(value=mean, codes=no_codes(latents))
        value = mean + (log_variance / 2).exp() * torch.randn_like(mean)
        nats = (mean.square() + log_variance.exp() - 1 - log_variance).sum() / 2 / len(latents)
        return Quantized(value=value, codes=no_codes(latents), losses={"kl": Loss(value=nats, unit="image_sum")})

    def decode(self, codes):
        raise NotImplementedError


class Rounded(Quantizer):
    def __init__(self, channels, grid):
        super().__init__()
        self.latent_channels, self.code_channels = 2 * channels, channels
        self.codebook_sizes = (grid,) * channels
        self.register_buffer("low", torch.full((channels, 1, 1), math.nan))
        self.register_buffer("high", torch.full((channels, 1, 1), math.nan))

    def fit(self, latents):
        for find, bound in ((torch.amin, self.low), (torch.amax, self.high)):  # two passes over the data
            found = [find(of_batch[:, : self.code_channels], dim=(0, 2, 3)) for of_batch in latents]
            bound.copy_(find(torch.stack(found), dim=0)[:, None, None])

    def forward(self, latents):
        mean = latents[:, : self.code_channels]
        steps = self.codebook_sizes[0] - 1
        codes = ((mean - self.low) / (self.high - self.low) * steps).round().clamp(0, steps).long()
        return Quantized(value=self.decode(codes), codes=codes)

    def decode(self, codes):
        return self.low + codes / (self.codebook_sizes[0] - 1) * (self.high - self.low)


class Faulty(NoisyVQ):
    def __init__(self, channels, codes, fault):
        if fault == "constructor":
            raise RuntimeError("boom")
        super().__init__(channels, codes)
        self.fault = fault
        if fault == "sizes":
            self.codebook_sizes = (codes + 1,)

    def forward(self, latents):
        quantized = super().forward(latents)
        if self.fault == "nan_at_third_step" and self.seen == 3:
            infinite = Loss(value=latents.mean() * math.inf, unit="element_mean")
            return Quantized(value=quantized.value, codes=quantized.codes, losses={"commit": infinite})
        if self.fault == "backward":
            quantized.value.register_hook(lambda gradient: 1 / 0)
        if self.fault == "infinite_value":
            return Quantized(value=quantized.value * math.inf, codes=quantized.codes)
        if self.fault == "int32":
            return Quantized(value=quantized.value, codes=quantized.codes.int())
        return quantized

    def parameter_groups(self):
        return [] if self.fault == "groups" else super().parameter_groups()


class Squares(Dataset):
    def __init__(self, image_size, count):
        super().__init__(image_size)
        self.count = count

    def split(self, name):
        size, start = self.image_size, {"train": 0, "test": 1000}[name]
        images = []
        for seed in range(start, start + self.count):
            colours = torch.rand(2, 3, generator=torch.Generator().manual_seed(seed))
            image = colours[0].view(3, 1, 1).repeat(1, size, size)
            image[:, size // 4 : size // 2, : size // 2] = colours[1].view(3, 1, 1)
            images.append(image)
        return images
