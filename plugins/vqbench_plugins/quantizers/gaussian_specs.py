"""Descriptors of the Gaussian VAE and of what it is converted to."""

from __future__ import annotations

from vqbench.specs import LevelPlan, Parameter, Parameters, QuantizerSpec, TrainsAs
from vqbench_plugins.quantizers.checks import check_codebook_size, check_groups, whole_bits

__all__ = ["GAUSSIAN_VAE", "GQ"]

_CHANNELS = Parameter(name="channels", type="int", default=16, minimum=1, summary="channels of the posterior mean")
_GROUPING = Parameter(
    name="grouping",
    type="str",
    default="strided",
    choices=("strided", "contiguous"),
    summary="which channels form a token: component i of token g is channel i·G+g, or g·m+i",
)
_TRAINING = (
    Parameter(
        name="constraint",
        type="str",
        default="tdc",
        choices=("tdc", "kl"),
        summary="divergence pulled to a target per token (bits), or with one constant weight (nats)",
    ),
    Parameter(
        name="tolerance", type="float", default=0.5, minimum=0.0, summary="half width of the target's band in bits"
    ),
    Parameter(
        name="variant",
        type="str",
        default="tdc",
        choices=("tdc", "tdc-astrained"),
        summary="form of the constraint: as corrected, or as the released models were trained with",
    ),
    Parameter(
        name="kl_weight",
        type="float",
        default=0.1,
        minimum=0.0,
        summary="weight of the divergence beside the squared error summed over an image",
    ),
)


def _gaussian_levels(p: Parameters) -> list[LevelPlan]:
    check_groups(p["channels"], p["dim"])
    return [
        LevelPlan(latent_channels=2 * p["channels"], code_channels=p["channels"], codebook_sizes=(), arguments=dict(p))
    ]


GAUSSIAN_VAE = QuantizerSpec(
    name="gaussian_vae",
    target="vqbench_plugins.quantizers.gaussian:GaussianVAE",
    summary="continuous Gaussian latent: the ceiling of its conversions",
    parameters=(
        _CHANNELS,
        Parameter(
            name="dim", type="int", default=16, minimum=1, summary="channels per token, for constraint and statistics"
        ),
        Parameter(name="target_bits", type="float", default=16.0, minimum=0.0, summary="target of tdc per token"),
        *_TRAINING,
        _GROUPING,
    ),
    presets={
        "gq-0.25": {"channels": 16, "dim": 16, "target_bits": 16.0},
        "gq-0.50": {"channels": 16, "dim": 8, "target_bits": 16.0},
        "gq-1.00": {"channels": 16, "dim": 4, "target_bits": 16.0},
        "kl-0.64": {"constraint": "kl", "kl_weight": 0.64},
    },
    paper="Kingma and Welling, arXiv 1312.6114; target divergence constraint: arXiv 2512.06609",
    licence="Apache-2.0",
    capabilities=frozenset({"continuous"}),
    levels=_gaussian_levels,
)


def _gq_levels(p: Parameters) -> list[LevelPlan]:
    check_codebook_size(p["codebook_size"])
    check_groups(p["channels"], p["dim"])
    _gq_trains_as(p)  # what is trained in its place must be possible too
    names = ("channels", "codebook_size", "dim", "beta", "seed", "grouping")
    return [
        LevelPlan(
            latent_channels=2 * p["channels"],
            code_channels=p["channels"],
            codebook_sizes=(p["codebook_size"],) * (p["channels"] // p["dim"]),
            arguments={name: p[name] for name in names},
        )
    ]


def _gq_trains_as(p: Parameters) -> TrainsAs:
    """The Gaussian VAE to train. What has no effect on it takes its default, so that more cells share a run."""
    parameters = {parameter.name: parameter.default for parameter in GAUSSIAN_VAE.parameters}
    parameters |= {name: p[name] for name in ("channels", "constraint", "kl_weight")}
    if p["constraint"] == "tdc":
        dim = p["dim"] if p["train_dim"] is None else p["train_dim"]
        check_groups(p["channels"], dim, parameter="dim" if p["train_dim"] is None else "train_dim")
        target = whole_bits(p["codebook_size"]) if p["target_bits"] is None else float(p["target_bits"])
        parameters |= {name: p[name] for name in ("tolerance", "variant", "grouping")}
        parameters |= {"dim": dim, "target_bits": target}
    else:  # the plain divergence knows no tokens
        parameters |= {"dim": p["channels"]}
    return TrainsAs(quantizer="vqbench/gaussian_vae", parameters=parameters)


GQ = QuantizerSpec(
    name="gq",
    target="vqbench_plugins.quantizers.gq:GQ",
    summary="Gaussian quantization: a trained Gaussian VAE converted with a fixed Gaussian codebook",
    parameters=(
        _CHANNELS,
        Parameter(
            name="codebook_size", type="int", default=65536, minimum=2, maximum=2**24, summary="codewords of a token"
        ),
        Parameter(name="dim", type="int", default=16, minimum=1, summary="channels per token"),
        Parameter(name="beta", type="float", default=1.0, summary="weight of the prior in the choice of a codeword"),
        Parameter(name="seed", type="int", default=42, minimum=0, summary="of the codebook"),
        _GROUPING,
        Parameter(
            name="target_bits",
            type="float",
            default=None,
            minimum=0.0,
            summary="training: target of tdc per token; by default log2 of codebook_size",
        ),
        Parameter(
            name="train_dim",
            type="int",
            default=None,
            minimum=1,
            summary="training: channels per token of tdc; by default dim",
        ),
        *_TRAINING,
    ),
    presets={
        "gq-0.25": {"channels": 16, "codebook_size": 65536, "dim": 16},
        "gq-0.50": {"channels": 16, "codebook_size": 65536, "dim": 8},
        "gq-1.00": {"channels": 16, "codebook_size": 65536, "dim": 4},
    },
    paper="Vector Quantization using Gaussian Variational Autoencoder (GQ), arXiv 2512.06609",
    licence="Apache-2.0",
    capabilities=frozenset({"post-training"}),
    levels=_gq_levels,
    trains_as=_gq_trains_as,
)
