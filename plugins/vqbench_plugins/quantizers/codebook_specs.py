"""Descriptors of the quantizers with a trained or an implied codebook."""

from __future__ import annotations

import math

from vqbench.specs import LevelPlan, Parameter, Parameters, QuantizerSpec
from vqbench_plugins.quantizers.checks import check_fsq

__all__ = ["FSQ", "VQGAN", "VQ_VAE_2"]

_VQ = "vqbench_plugins.quantizers.vq:VQ"
_RESTART = Parameter(
    name="restart_below",
    type="float",
    default=0.0,
    minimum=0.0,
    summary="a codeword with a smaller running count starts again at a random latent; 0: never",
)


def _fsq_levels(p: Parameters) -> list[LevelPlan]:
    levels = tuple(p["levels"])
    check_fsq(levels, p["bound"])
    return [
        LevelPlan(
            latent_channels=len(levels),
            code_channels=len(levels),
            codebook_sizes=(math.prod(levels),),
            arguments=dict(p),
        )
    ]


FSQ = QuantizerSpec(
    name="fsq",
    target="vqbench_plugins.quantizers.fsq:FSQ",
    summary="finite scalar quantization: each channel rounded to a few levels",
    parameters=(
        Parameter(
            name="levels", type="ints", default=[8, 5, 5, 5], minimum=2, maximum=1000, summary="levels of each channel"
        ),
        Parameter(
            name="bound",
            type="str",
            default="official",
            choices=("official", "atanh", "symmetric", "symmetric-clamp"),
            summary="bounding function: the authors' listing, the artanh of the ports, or evenly spaced on [-1, 1]",
        ),
        Parameter(
            name="index_order",
            type="str",
            default="first-least",
            choices=("first-least", "first-most"),
            summary="whether channel 0 is the least or the most significant digit of a code",
        ),
    ),
    presets={
        "8-bit": {"levels": [8, 6, 5]},
        "10-bit": {"levels": [8, 5, 5, 5]},
        "12-bit": {"levels": [7, 5, 5, 5, 5]},
        "14-bit": {"levels": [8, 8, 8, 6, 5]},
        "16-bit": {"levels": [8, 8, 8, 5, 5, 5]},
        "gq-comparison-16-bit": {"levels": [16] * 4, "bound": "atanh", "index_order": "first-most"},
        "gq-comparison-32-bit": {"levels": [16] * 8, "bound": "atanh", "index_order": "first-most"},
    },
    paper="Mentzer et al., Finite Scalar Quantization: VQ-VAE Made Simple, arXiv 2309.15505",
    licence="Apache-2.0",
    levels=_fsq_levels,
)


def _vqgan_levels(p: Parameters) -> list[LevelPlan]:
    channels = p["dim"] * p["tokens"]
    return [
        LevelPlan(
            latent_channels=channels,
            code_channels=channels,
            codebook_sizes=(p["codebook_size"],) * p["tokens"],
            arguments=dict(p),
        )
    ]


VQGAN = QuantizerSpec(
    name="vqgan",
    target=_VQ,
    summary="nearest codeword of a codebook trained by gradient, or kept as running averages",
    parameters=(
        Parameter(name="codebook_size", type="int", default=1024, minimum=2, maximum=2**24, summary="codewords"),
        Parameter(name="dim", type="int", default=256, minimum=1, summary="channels of a codeword"),
        Parameter(
            name="tokens", type="int", default=1, minimum=1, summary="tokens per position, from strided channel groups"
        ),
        Parameter(
            name="update",
            type="str",
            default="gradient",
            choices=("gradient", "ema"),
            summary="the codebook follows its gradient, or running averages of the latents",
        ),
        Parameter(
            name="decay", type="float", default=0.99, minimum=0.0, maximum=1.0, summary="of the running averages"
        ),
        _RESTART,
        Parameter(
            name="beta",
            type="float",
            default=0.25,
            minimum=0.0,
            summary="weight of one of the two losses; of the commitment loss where there is no other (ema)",
        ),
        Parameter(
            name="beta_placement",
            type="str",
            default="legacy",
            choices=("standard", "legacy"),
            summary="which loss beta weighs: commitment (VQ-VAE paper) or codebook (released VQGAN checkpoints)",
        ),
        Parameter(
            name="codebook_weight", type="float", default=1.0, minimum=0.0, summary="factor on both codebook losses"
        ),
        Parameter(
            name="reduction",
            type="str",
            default="mean",
            choices=("mean", "sum_channels"),
            summary="squared errors averaged over channels, or summed",
        ),
        Parameter(
            name="normalize",
            type="str",
            default="none",
            choices=("none", "l2"),
            summary="l2: latents and codewords on the unit sphere",
        ),
    ),
    presets={
        "taming-imagenet-f16": {
            "codebook_size": 1024,
            "dim": 256,
            "beta": 0.25,
            "beta_placement": "legacy",
            "codebook_weight": 1.0,
        },
    },
    paper="Esser et al., Taming Transformers for High-Resolution Image Synthesis, arXiv 2012.09841",
    licence="Apache-2.0",
    levels=_vqgan_levels,
)


def _vq_vae_2_levels(p: Parameters) -> list[LevelPlan]:
    def level(relative_stride: int, codebook_size: int) -> LevelPlan:
        return LevelPlan(
            relative_stride=relative_stride,
            latent_channels=p["dim"],
            code_channels=p["dim"],
            codebook_sizes=(codebook_size,),
            arguments={
                "codebook_size": codebook_size,
                "dim": p["dim"],
                "update": "ema",
                "beta": p["commitment_weight"],
                "decay": p["decay"],
                "eps": p["eps"],
                "counts_init": "ones",
                "restart_below": p["restart_below"],
            },
        )

    return [level(2, p["coarse_codebook_size"]), level(1, p["fine_codebook_size"])]


VQ_VAE_2 = QuantizerSpec(
    name="vq_vae_2",
    target=_VQ,
    summary="two levels of nearest codewords, codebooks kept as running averages",
    parameters=(
        Parameter(
            name="coarse_codebook_size",
            type="int",
            default=512,
            minimum=2,
            maximum=2**24,
            summary="codewords of the coarse level",
        ),
        Parameter(
            name="fine_codebook_size",
            type="int",
            default=512,
            minimum=2,
            maximum=2**24,
            summary="codewords of the fine level",
        ),
        Parameter(name="dim", type="int", default=64, minimum=1, summary="channels of a codeword, of both levels"),
        Parameter(
            name="decay", type="float", default=0.99, minimum=0.0, maximum=1.0, summary="of the running averages"
        ),
        Parameter(
            name="commitment_weight", type="float", default=0.25, minimum=0.0, summary="of each level's commitment loss"
        ),
        Parameter(name="eps", type="float", default=1e-5, minimum=0.0, summary="smoothing of the running counts"),
        _RESTART,
    ),
    presets={"published": {"coarse_codebook_size": 512, "fine_codebook_size": 512, "dim": 64, "decay": 0.99}},
    paper="Razavi et al., Generating Diverse High-Fidelity Images with VQ-VAE-2, arXiv 1906.00446",
    licence="Apache-2.0",
    levels=_vq_vae_2_levels,
)
