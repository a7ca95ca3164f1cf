"""Descriptors of the quantizers."""

from __future__ import annotations

from vqbench.specs import QuantizerSpec
from vqbench_plugins.quantizers.codebook_specs import FSQ, VQ_VAE_2, VQGAN
from vqbench_plugins.quantizers.gaussian_specs import GAUSSIAN_VAE, GQ

__all__ = ["QUANTIZERS"]

QUANTIZERS: tuple[QuantizerSpec, ...] = (FSQ, VQGAN, VQ_VAE_2, GAUSSIAN_VAE, GQ)
