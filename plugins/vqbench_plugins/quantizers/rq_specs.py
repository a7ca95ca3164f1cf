"""Descriptor of RQ-VAE's quantizer."""

from __future__ import annotations

from vqbench.specs import LevelPlan, Parameter, Parameters, QuantizerSpec
from vqbench_plugins.quantizers.codebook_checks import check_averages
from vqbench_plugins.quantizers.ema_parameters import ema_parameters

__all__ = ["RQ_VAE"]


def _levels(p: Parameters) -> list[LevelPlan]:
    check_averages(decay=p["decay"], eps=p["eps"])
    return [
        LevelPlan(
            latent_channels=p["dim"],
            code_channels=p["dim"],
            codebook_sizes=(p["codebook_size"],) * p["depth"],
            arguments=dict(p),
        )
    ]


RQ_VAE = QuantizerSpec(
    name="rq_vae",
    target="vqbench_plugins.quantizers.rq:RQ",
    summary="several tokens per position, each the codeword nearest to what the ones before it left over",
    parameters=(
        Parameter(
            name="codebook_size", type="int", default=16384, minimum=2, maximum=2**24, summary="codewords of a codebook"
        ),
        Parameter(name="dim", type="int", default=256, minimum=1, summary="channels of a codeword and of the latent"),
        Parameter(name="depth", type="int", default=4, minimum=1, summary="tokens per position"),
        Parameter(
            name="shared_codebook", type="bool", default=True, summary="one codebook for all depths, or one for each"
        ),
        Parameter(name="commitment_weight", type="float", default=0.25, minimum=0.0, summary="of the commitment loss"),
        Parameter(
            name="gradient",
            type="str",
            default="total",
            choices=("total", "per-stage"),
            summary="straight through once, on the sum, or at each depth (times depth)",
        ),
        *ema_parameters(restart_below=1.0, restart_rule="tile"),
    ),
    presets={
        "imagenet-8x8x4": {"codebook_size": 16384, "dim": 256, "depth": 4, "shared_codebook": True},
        "ffhq-8x8x4": {"codebook_size": 2048, "dim": 256, "depth": 4, "shared_codebook": True},
    },
    paper="Lee et al., Autoregressive Image Generation using Residual Quantization, arXiv 2203.01941",
    licence="Apache-2.0",
    levels=_levels,
)
