"""Numbers that others published, with protocol, definition of the metric and source of each."""

from __future__ import annotations

from pathlib import Path

from vqbench.specs import PublishedSpec

__all__ = ["PUBLISHED"]


def _file(name: str, summary: str) -> PublishedSpec:
    return PublishedSpec(name=name, summary=summary, path=Path(__file__).parent / f"{name}.toml")


PUBLISHED = (
    _file("gq-comparison", "GQ and the baselines its authors trained: UNet and ViT at 0.25, 0.5 and 1 bits per pixel"),
    _file("bsq-vit", "BSQ-ViT at 18 and 36 bits per position"),
    _file("tokenizers", "VQGAN, LFQ, IBQ, TiTok, TokenBridge and other tokenizers, as their repositories state them"),
    _file("imagenet-128", "quantizers compared at 128x128 by SimVQ and FSQ-pytorch"),
    _file("small-scale", "quantizers in one small network on ImageNet-64 and CelebA-64"),
    _file("sq-vae", "SQ-VAE beside VQ-VAE on small images"),
)
