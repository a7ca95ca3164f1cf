"""Descriptors of the quantizers."""

from __future__ import annotations

from vqbench.specs import QuantizerSpec
from vqbench_plugins.quantizers.codebook_specs import VQ_VAE_2, VQGAN
from vqbench_plugins.quantizers.gaussian_specs import GAUSSIAN_VAE, GQ, TOKENBRIDGE
from vqbench_plugins.quantizers.lookup_free_specs import BSQ, FSQ, LFQ
from vqbench_plugins.quantizers.rq_specs import RQ_VAE
from vqbench_plugins.quantizers.stochastic_specs import HQ_VAE, RSQ_VAE, SQ_VAE, SQ_VAE_2

__all__ = ["QUANTIZERS"]

QUANTIZERS: tuple[QuantizerSpec, ...] = (
    FSQ,
    LFQ,
    BSQ,
    VQGAN,
    VQ_VAE_2,
    RQ_VAE,
    GAUSSIAN_VAE,
    GQ,
    TOKENBRIDGE,
    SQ_VAE,
    RSQ_VAE,
    SQ_VAE_2,
    HQ_VAE,
)
