"""Descriptors of the quantizers with a learned codebook."""

from __future__ import annotations

from vqbench.specs import LevelPlan, Parameter, Parameters, QuantizerSpec
from vqbench_plugins.quantizers.codebook_checks import check_averages, check_vq
from vqbench_plugins.quantizers.ema_parameters import AVERAGES, ema_parameters

__all__ = ["VQGAN", "VQ_VAE_2"]

_VQ = "vqbench_plugins.quantizers.vq:VQ"


def _standard(codebook_size: int, dim: int, **values: str) -> dict[str, object]:
    """A published configuration with beta = 0.25 on the commitment loss, as in the VQ-VAE paper."""
    return {"codebook_size": codebook_size, "dim": dim, "beta": 0.25, "beta_placement": "standard", **values}


def _vqgan_levels(p: Parameters) -> list[LevelPlan]:
    check_vq(**{name: p[name] for name in ("update", "loss", "restart_below", "decay", "eps")})
    channels = p["latent_dim"] or p["dim"] * p["tokens"]
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
        Parameter(name="tokens", type="int", default=1, minimum=1, summary="tokens per position, from channel groups"),
        Parameter(
            name="grouping",
            type="str",
            default="strided",
            choices=("strided", "contiguous"),
            summary="which channels form a token: component i of token t is channel i·tokens + t, or t·dim + i",
        ),
        Parameter(
            name="shared_codebook", type="bool", default=True, summary="one codebook for all tokens, or one for each"
        ),
        Parameter(
            name="latent_dim",
            type="int",
            default=None,
            minimum=1,
            summary="factorised codes: channels that linear maps join to the tokens' dim·tokens; None: no maps",
        ),
        Parameter(
            name="update",
            type="str",
            default="gradient",
            choices=("gradient", "ema", "frozen"),
            summary="the codebook follows its gradient, or running averages of the latents, or stays as it started",
        ),
        Parameter(
            name="init",
            type="str",
            default=None,
            choices=("uniform", "normal", "sphere"),
            summary="codewords start uniform on ±1/K, normal, or of length 1; None: uniform for gradient, else normal",
        ),
        Parameter(
            name="gradient",
            type="str",
            default="straight-through",
            choices=("straight-through", "rotation"),
            summary="how the decoder's gradient reaches the encoder",
        ),
        Parameter(
            name="loss",
            type="str",
            default="split",
            choices=("split", "joint"),
            summary="commitment and codebook losses, or one squared error that moves both sides",
        ),
        Parameter(
            name="beta",
            type="float",
            default=0.25,
            minimum=0.0,
            summary="weight of one of the two losses; of the commitment loss where there is no other (ema, frozen)",
        ),
        Parameter(
            name="beta_placement",
            type="str",
            default="legacy",
            choices=("standard", "legacy"),
            summary="which loss beta weighs: commitment (VQ-VAE paper) or codebook (released VQGAN checkpoints)",
        ),
        Parameter(
            name="codebook_weight", type="float", default=1.0, minimum=0.0, summary="factor on all codebook losses"
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
        *ema_parameters(),
    ),
    presets={
        "taming-imagenet-f16": {
            "codebook_size": 1024,
            "dim": 256,
            "beta": 0.25,
            "beta_placement": "legacy",
            "codebook_weight": 1.0,
        },
        "llamagen": _standard(16384, 8, normalize="l2", init="sphere"),
        "vit-vqgan": _standard(8192, 32, normalize="l2", init="normal"),
        "titok-b-64": _standard(4096, 12, normalize="l2", init="uniform"),
        "maskbit-12-bit": _standard(4096, 64, init="uniform"),
    },
    paper="Esser et al., Taming Transformers for High-Resolution Image Synthesis, arXiv 2012.09841",
    licence="Apache-2.0",
    levels=_vqgan_levels,
)


def _vq_vae_2_levels(p: Parameters) -> list[LevelPlan]:
    check_averages(decay=p["decay"], eps=p["eps"])

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
                **{name: p[name] for name in AVERAGES},
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
            name="commitment_weight", type="float", default=0.25, minimum=0.0, summary="of each level's commitment loss"
        ),
        *ema_parameters(),
    ),
    presets={
        "published": {"coarse_codebook_size": 512, "fine_codebook_size": 512, "dim": 64, "decay": 0.99},
        # equal to 16×16 positions of 14 or 11 bits, and to RQ-VAE's 8×8×4, at a stride of 16 for 256×256 images
        "3584-bit-at-16x16": {"coarse_codebook_size": 256, "fine_codebook_size": 4096},
        "2816-bit-at-16x16": {"coarse_codebook_size": 256, "fine_codebook_size": 512},
    },
    paper="Razavi et al., Generating Diverse High-Fidelity Images with VQ-VAE-2, arXiv 1906.00446",
    licence="Apache-2.0",
    levels=_vq_vae_2_levels,
)
