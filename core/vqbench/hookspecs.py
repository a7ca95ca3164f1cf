"""The hooks a plugin may implement.

A plugin is a module (or object) that an entry point of group ``vqbench`` names. It implements any of these hooks, each of
which returns descriptors (:mod:`vqbench.specs`), and states the API it was written for as ``VQBENCH_API = 1``. Its module must
be light: import torch in the targets, not in the plugin. A plugin is code the user chose to install; vqbench does not confine it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from vqbench.specs import BackboneSpec, DatasetSpec, MetricSpec, PublishedSpec, QuantizerSpec, SuiteSpec

__all__ = ["API_VERSION", "PROJECT", "hookimpl", "hookspec"]

PROJECT = "vqbench"
API_VERSION = 1
"""Version of these hooks and of the classes in :mod:`vqbench.interfaces`."""

hookspec = pluggy.HookspecMarker(PROJECT)

hookimpl = pluggy.HookimplMarker(PROJECT)
"""Decorates a plugin's function of a hook's name: it implements that hook."""


@hookspec
def vqbench_quantizers() -> Iterable[QuantizerSpec]:  # type: ignore[empty-body]
    """Vector quantizers.

    A whole plugin with one quantizer, scalar rounding to ``levels`` values per channel::

        # my_plugin/__init__.py
        from vqbench import LevelPlan, Parameter, QuantizerSpec, hookimpl

        VQBENCH_API = 1

        def levels(p):
            return [LevelPlan(latent_channels=p["channels"], code_channels=p["channels"],
                              codebook_sizes=(p["levels"],) * p["channels"], arguments=p)]

        @hookimpl
        def vqbench_quantizers():
            yield QuantizerSpec(
                name="rounding", target="my_plugin.rounding:Rounding", summary="round each channel to a grid",
                parameters=(Parameter(name="channels", type="int", default=4, minimum=1, summary="latent channels"),
                            Parameter(name="levels", type="int", default=8, minimum=2, summary="values per channel")),
                levels=levels)

        # my_plugin/rounding.py
        import torch
        from vqbench import Quantized, Quantizer, straight_through

        class Rounding(Quantizer):
            def __init__(self, channels, levels):
                super().__init__()
                self.latent_channels = self.code_channels = channels
                self.codebook_sizes = (levels,) * channels

            def forward(self, latents):                                   # (B, C, h, w)
                soft = torch.tanh(latents)
                codes = ((soft + 1) / 2 * (self.codebook_sizes[0] - 1)).round().long()  # (B, T = C, h, w)
                value = self.decode(codes)
                return Quantized(value=straight_through(soft, value) if self.training else value, codes=codes)

            def decode(self, codes):
                return codes / (self.codebook_sizes[0] - 1) * 2 - 1

        # pyproject.toml
        [project.entry-points.vqbench]
        my-plugin = "my_plugin"
    """


@hookspec
def vqbench_backbones() -> Iterable[BackboneSpec]:  # type: ignore[empty-body]
    """Encoder and decoder families.

    The target is a :class:`vqbench.Backbone` built as ``Patches(image_size, levels, width=...)``::

        # my_plugin/__init__.py
        from vqbench import BackboneSpec, Parameter, hookimpl

        VQBENCH_API = 1

        @hookimpl
        def vqbench_backbones():
            yield BackboneSpec(
                name="patches", target="my_plugin.patches:Patches", summary="a convolution for each patch, and back",
                parameters=(Parameter(name="width", type="int", default=128, minimum=8, summary="channels inside"),),
                presets={"tiny": {"width": 32}})

        # my_plugin/patches.py
        import torch
        from torch import nn
        from torch.nn.functional import interpolate
        from vqbench import Backbone

        class Patches(Backbone):
            def __init__(self, image_size, levels, width):
                super().__init__(image_size, levels)
                self.patches, self.latents, coarser = nn.ModuleList(), nn.ModuleList(), 0
                for level in levels:                                      # coarse to fine
                    self.patches.append(nn.Conv2d(3, width, level.stride, level.stride))
                    self.latents.append(nn.Conv2d(width + coarser, level.latent_channels, 1))
                    coarser += level.code_channels
                stride = levels[-1].stride
                self.inside = nn.Conv2d(coarser, width, 3, padding=1)
                self.pixels = nn.Conv2d(width, 3 * stride**2, 1)
                self.spread = nn.PixelShuffle(stride)

            def encode(self, images):
                first, *finer = [patches(images * 2 - 1) for patches in self.patches]
                return [self.latents[0](first), *finer]

            def fuse(self, level, features, values):
                return self.latents[level](torch.cat([features, *resized(values, features)], dim=1))

            def decode(self, values):                                     # one (B, code_channels, h, w) per level
                inside = torch.relu(self.inside(torch.cat(resized(values, values[-1]), dim=1)))
                return (self.spread(self.pixels(inside)) + 1) / 2         # (B, 3, H, W)

            @property
            def last_layer(self):
                return self.pixels.weight

        def resized(values, like):
            return [interpolate(value, like.shape[-2:]) for value in values]
    """


@hookspec
def vqbench_datasets() -> Iterable[DatasetSpec]:  # type: ignore[empty-body]
    """Datasets.

    The target is a :class:`vqbench.Dataset` built as ``Textures(image_size, **parameters)``::

        # my_plugin/__init__.py
        from vqbench import DatasetSpec, hookimpl

        VQBENCH_API = 1

        @hookimpl
        def vqbench_datasets():
            yield DatasetSpec(name="textures", target="my_plugin.textures:Textures", summary="seeded stripes in colour",
                              revision=lambda parameters: "1", licence="CC0-1.0")

        # my_plugin/textures.py
        import torch
        from vqbench import Dataset

        class Textures(Dataset):
            def split(self, name):
                return Stripes(self.image_size, range(512) if name == "train" else range(512, 640))

        class Stripes:
            def __init__(self, size, seeds):
                self.size, self.seeds = size, seeds

            def __len__(self):
                return len(self.seeds)

            def __getitem__(self, index):                                 # (3, size, size) in [0, 1]
                generator = torch.Generator().manual_seed(self.seeds[index])
                right, down, phase = torch.rand(3, 3, 1, 1, generator=generator)
                x = torch.linspace(0, 40, self.size)
                return (torch.sin(right * x + down * x[:, None] + 6 * phase) + 1) / 2
    """


@hookspec
def vqbench_metrics() -> Iterable[MetricSpec]:  # type: ignore[empty-body]
    """Metrics of originals and reconstructions.

    The target is a :class:`vqbench.Metric` built as ``MaxError(**parameters)``::

        # my_plugin/__init__.py
        from vqbench import MetricSpec, hookimpl

        VQBENCH_API = 1

        @hookimpl
        def vqbench_metrics():
            yield MetricSpec(name="max_error", target="my_plugin.max_error:MaxError", summary="largest pixel error",
                             unit="grey levels", better="lower", protocol="uint8 RGB, per image, mean over images")

        # my_plugin/max_error.py
        from vqbench import PerImageMetric

        class MaxError(PerImageMetric):
            def per_image(self, batch):                                   # (B, 3, H, W) to (B,)
                error = batch.originals_uint8.int() - batch.reconstructions_uint8.int()
                return error.abs().flatten(1).amax(dim=1)
    """


@hookspec
def vqbench_suites() -> Iterable[SuiteSpec]:  # type: ignore[empty-body]
    """Suite files that users run by name.

    ::

        # my_plugin/__init__.py
        from pathlib import Path
        from vqbench import SuiteSpec, hookimpl

        VQBENCH_API = 1

        @hookimpl
        def vqbench_suites():
            yield SuiteSpec(name="on-textures", summary="rounding beside FSQ on textures",
                            path=Path(__file__).parent / "on_textures.toml")

        # my_plugin/on_textures.toml
        schema = 1
        name = "on-textures"
        stride = 8

        [data]
        name = "textures"
        image_size = 32

        [recipe]
        steps = 200
        batch_size = 16

        [evaluation]
        metrics = ["psnr", "max_error"]

        [[quantizers]]
        name = "rounding"

        [[quantizers]]
        name = "fsq"
        params = { levels = [8, 8, 8, 8] }

        [[backbones]]
        name = "patches"
        preset = "tiny"
    """


@hookspec
def vqbench_published() -> Iterable[PublishedSpec]:  # type: ignore[empty-body]
    """Files of published numbers, which ``vqbench leaderboard --with-published`` shows as reference.

    ::

        # my_plugin/__init__.py
        from pathlib import Path
        from vqbench import PublishedSpec, hookimpl

        VQBENCH_API = 1

        @hookimpl
        def vqbench_published():
            yield PublishedSpec(name="textures", summary="reconstruction of textures, table 2 of the paper",
                                path=Path(__file__).parent / "published.toml")

        # my_plugin/published.toml
        schema = 1

        [sources.paper]
        name = "Doe et al., Tokenizing textures, table 2"
        kind = "paper"                 # or repository, logs, third party, second hand (which makes it secondary)

        [protocols.textures-256]
        dataset = "textures"
        images = "test split"
        count = 1000
        resolution = 256
        crop = "centre"

        [metrics.psnr]
        name = "psnr"
        unit = "dB"
        better = "higher"
        definition = "mean over images, clamped, rounded to 256 levels"

        [[tables]]
        title = "Reconstruction"
        protocol = "textures-256"
        source = "paper"
        rows = [
          { method = "vqgan", backbone = "unet", tokens = 256, codebook_size = 1024, values = { psnr = 21.5 } },
        ]
    """
