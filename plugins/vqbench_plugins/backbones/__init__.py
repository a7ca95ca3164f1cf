"""Encoder and decoder families: the SD3-style convolutional hourglass and BSQ-ViT.

Importing this package needs no torch: the descriptors are in :mod:`vqbench_plugins.backbones.specs`, the modules they name are
imported where they run.
"""

from __future__ import annotations

from vqbench_plugins.backbones.specs import BACKBONES

__all__ = ["BACKBONES"]
