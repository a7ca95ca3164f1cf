"""Suite files that ship with vqbench."""

from __future__ import annotations

from pathlib import Path

from vqbench.specs import SuiteSpec

__all__ = ["SUITES"]


def _suite(name: str, summary: str) -> SuiteSpec:
    return SuiteSpec(name=name, summary=summary, path=Path(__file__).parent / f"{name}.toml")


SUITES = (
    _suite("quickstart", "64×64 photo crops, 640 bits per image, both tiny backbones; minutes on two CPU cores"),
    _suite(
        "throughput",
        "speed of every method at the papers' sizes, untrained, on noise; a GPU, or a tiny preset on a CPU",
    ),
    _suite("cifar10", "every method at 576 bits on CIFAR-10, both small backbones, with rFID and LPIPS; one GPU"),
    _suite(
        "gq-claims",
        "GQ, VQGAN, FSQ, LFQ, BSQ at three rates, TokenBridge with and without TDC; photos, hours on two cores",
    ),
    _suite("gq-claims-cifar10", "the same on CIFAR-10 with rFID; a GPU"),
    _suite(
        "gq-claims-256", "the same at 0.25, 0.5 and 1 bits per pixel on an image folder at 256×256, as published; GPUs"
    ),
    _suite("hqvae-claims", "SQ-VAE-2 and VQ-VAE-2, RSQ-VAE and RQ-VAE at equal bits; photos, hours on two CPU cores"),
    _suite("hqvae-claims-cifar10", "the same on CIFAR-10 with rFID; a GPU"),
    _suite("hqvae-claims-256", "the same on an image folder at 256×256, paper-sized networks; GPUs"),
)
