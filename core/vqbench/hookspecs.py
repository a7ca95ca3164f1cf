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
        from vqbench import Quantized, Quantizer

        class Rounding(Quantizer):
            def __init__(self, channels, levels):
                super().__init__()
                self.latent_channels = self.code_channels = channels
                self.codebook_sizes = (levels,) * channels

            def forward(self, latents):                                   # (B, C, h, w)
                grid = (torch.sigmoid(latents) * (self.codebook_sizes[0] - 1))
                codes = grid.round().long()                               # (B, T = C, h, w)
                value = self.decode(codes)
                if self.training:                                         # straight-through
                    soft = grid / (self.codebook_sizes[0] - 1) * 2 - 1
                    value = soft + (value - soft).detach()
                return Quantized(value=value, codes=codes)

            def decode(self, codes):
                return codes / (self.codebook_sizes[0] - 1) * 2 - 1

    and in its ``pyproject.toml``::

        [project.entry-points.vqbench]
        my-plugin = "my_plugin"
    """


@hookspec
def vqbench_backbones() -> Iterable[BackboneSpec]:  # type: ignore[empty-body]
    """Encoder and decoder families.

    ::

        @hookimpl
        def vqbench_backbones():
            yield BackboneSpec(
                name="mlp-mixer", target="my_plugin.mixer:Mixer", summary="MLP-Mixer encoder and decoder",
                parameters=(Parameter(name="width", type="int", default=128, minimum=8, summary="channels per token"),),
                presets={"tiny": {"width": 64}})

    The target is a :class:`vqbench.Backbone` built as ``Mixer(image_size, levels, width=...)``.
    """


@hookspec
def vqbench_datasets() -> Iterable[DatasetSpec]:  # type: ignore[empty-body]
    """Datasets.

    ::

        @hookimpl
        def vqbench_datasets():
            yield DatasetSpec(name="textures", target="my_plugin.textures:Textures", summary="seeded textures",
                              revision=lambda parameters: "1", licence="CC0-1.0")

    The target is a :class:`vqbench.Dataset` built as ``Textures(image_size, **parameters)``.
    """


@hookspec
def vqbench_metrics() -> Iterable[MetricSpec]:  # type: ignore[empty-body]
    """Metrics of originals and reconstructions.

    ::

        @hookimpl
        def vqbench_metrics():
            yield MetricSpec(name="max_error", target="my_plugin.metrics:MaxError", summary="largest pixel error",
                             unit="grey levels", better="lower", protocol="uint8 RGB, per image, mean over images")

    The target is a :class:`vqbench.Metric` built as ``MaxError(**parameters)``.
    """


@hookspec
def vqbench_suites() -> Iterable[SuiteSpec]:  # type: ignore[empty-body]
    """Suite files that users run by name.

    ::

        @hookimpl
        def vqbench_suites():
            yield SuiteSpec(name="textures", summary="four quantizers on textures",
                            path=Path(__file__).parent / "textures.toml")
    """


@hookspec
def vqbench_published() -> Iterable[PublishedSpec]:  # type: ignore[empty-body]
    """Files of published numbers, which ``vqbench leaderboard --with-published`` shows as reference.

    ::

        @hookimpl
        def vqbench_published():
            yield PublishedSpec(name="textures", summary="reconstruction of textures, table 2 of the paper",
                                path=Path(__file__).parent / "published.toml")

        # published.toml
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
