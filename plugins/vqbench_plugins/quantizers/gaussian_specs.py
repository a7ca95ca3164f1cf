"""Descriptors of the Gaussian VAE and of what it is converted to."""

from __future__ import annotations

from typing import Any

from vqbench.errors import ParameterError
from vqbench.specs import LevelPlan, Parameter, Parameters, QuantizerSpec, TrainsAs
from vqbench_plugins.quantizers.checks import check_codebook_size, check_groups, whole_bits

__all__ = ["GAUSSIAN_VAE", "GQ", "TOKENBRIDGE"]

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
        choices=("tdc", "tdc-astrained", "tdc-nolam", "tdc-gq2", "target"),
        summary="form of tdc: corrected, as the released models were trained, without the common factor, mean over "
        "tokens, or fixed weights in nats",
    ),
    Parameter(
        name="kl_weight",
        type="float",
        default=0.1,
        minimum=0.0,
        summary="weight of the divergence beside the squared error summed over an image",
    ),
)
_TRAINING_TARGET = Parameter(
    name="target_bits",
    type="float",
    default=None,
    minimum=0.0,
    summary="training: target of tdc per token; by default the token's bits",
)
_TRAINING_DIM = Parameter(
    name="train_dim",
    type="int",
    default=None,
    minimum=1,
    summary="training: channels per token of tdc; by default those of the conversion",
)
_PIXELS = 3 * 256 * 256
"""Numbers in an image of the published runs; their ViT weighs the divergence beside a mean error."""
_FIXED = {"variant": "target", "target_bits": 11.08 * 1.4426, "tolerance": 0.35 * 1.4426}
"""As published in nats: 11.08 and 0.35."""
_VIT: dict[str, dict[str, Any]] = {
    "gq-vit-0.25": {"channels": 16, "dim": 16, "variant": "tdc-astrained", "kl_weight": 1e-6 * _PIXELS},
    "gq-vit-0.50": {"channels": 16, "dim": 8, **_FIXED, "kl_weight": 7e-7 * _PIXELS},
    "gq-vit-1.00": {"channels": 16, "dim": 4, **_FIXED, "kl_weight": 1.5e-7 * _PIXELS},
}
"""How the published ViT models were trained."""


def _gaussian_levels(p: Parameters) -> list[LevelPlan]:
    check_groups(p["channels"], p["dim"])
    return [
        LevelPlan(latent_channels=2 * p["channels"], code_channels=p["channels"], codebook_sizes=(), arguments=dict(p))
    ]


def _gaussian_trains_as(p: Parameters) -> TrainsAs | None:
    """Itself, decoding means, without what has no effect on training: the ceilings share a run with conversions."""
    trained = _gaussian_vae(p, p["dim"], p["target_bits"], parameter="dim")
    return None if trained.parameters == dict(p) else trained


def _gaussian_vae(p: Parameters, dim: int, target_bits: float, *, parameter: str) -> TrainsAs:
    """The Gaussian VAE to train. What has no effect on it takes its default, so that more cells share a run.

    ``parameter`` is what the user set ``dim`` with.
    """
    trained = {known.name: known.default for known in GAUSSIAN_VAE.parameters}
    trained |= {name: p[name] for name in ("channels", "constraint", "kl_weight")}
    if p["constraint"] == "tdc":
        check_groups(p["channels"], dim, parameter=parameter)
        trained |= {name: p[name] for name in ("tolerance", "variant")}
        trained |= {"dim": dim, "target_bits": float(target_bits)}
        if 1 < dim < p["channels"]:  # otherwise both groupings are the same
            trained |= {"grouping": p["grouping"]}
    else:  # the plain divergence knows no tokens
        trained |= {"dim": p["channels"]}
    return TrainsAs(quantizer="vqbench/gaussian_vae", parameters=trained)


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
        Parameter(
            name="evaluation",
            type="str",
            default="mean",
            choices=("mean", "sample"),
            summary="what evaluation decodes: the posterior mean, or a sample with fixed noise; trained alike",
        ),
    ),
    presets={
        "gq-0.25": {"channels": 16, "dim": 16, "target_bits": 16.0},
        "gq-0.50": {"channels": 16, "dim": 8, "target_bits": 16.0},
        "gq-1.00": {"channels": 16, "dim": 4, "target_bits": 16.0},
        "kl-0.64": {"constraint": "kl", "kl_weight": 0.64},
        **_VIT,
    },
    paper="Kingma and Welling, arXiv 1312.6114; target divergence constraint: arXiv 2512.06609",
    licence="Apache-2.0",
    capabilities=frozenset({"continuous"}),
    levels=_gaussian_levels,
    trains_as=_gaussian_trains_as,
)


def _gq_levels(p: Parameters) -> list[LevelPlan]:
    check_codebook_size(p["codebook_size"])
    check_groups(p["channels"], p["dim"])
    names = ["channels", "codebook_size", "dim", "beta", "seed", "grouping"]
    arguments = {name: p[name] for name in names}
    if p["training"] == "straight-through":
        if p["train_dim"] is not None:
            raise ParameterError(
                "train_dim does not go with training 'straight-through', whose tokens are those of the codewords",
                got=p["train_dim"],
                hint="Leave it out, or take training 'conversion'.",
            )
        arguments |= {name: p[name] for name in ("training", "constraint", "tolerance", "variant", "kl_weight")}
        arguments |= {"target_bits": _gq_target(p)}
    else:
        _gq_trains_as(p)  # what is trained in its place must be possible too
    return [
        LevelPlan(
            latent_channels=2 * p["channels"],
            code_channels=p["channels"],
            codebook_sizes=(p["codebook_size"],) * (p["channels"] // p["dim"]),
            arguments=arguments,
        )
    ]


def _gq_target(p: Parameters) -> float:
    """Bits per token that ``tdc`` pulls to; any number where nothing does."""
    if p["constraint"] != "tdc":
        return 0.0
    return whole_bits(p["codebook_size"]) if p["target_bits"] is None else float(p["target_bits"])


def _gq_trains_as(p: Parameters) -> TrainsAs | None:
    if p["training"] == "straight-through":
        return None
    parameter = "dim" if p["train_dim"] is None else "train_dim"
    return _gaussian_vae(p, p[parameter], _gq_target(p), parameter=parameter)


GQ = QuantizerSpec(
    name="gq",
    target="vqbench_plugins.quantizers.gq:GQ",
    summary="Gaussian quantization: a Gaussian VAE converted with a fixed Gaussian codebook",
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
            name="training",
            type="str",
            default="conversion",
            choices=("conversion", "straight-through"),
            summary="a Gaussian VAE is trained and converted, or the codewords are trained through",
        ),
        _TRAINING_TARGET,
        _TRAINING_DIM,
        *_TRAINING,
    ),
    presets={
        "gq-0.25": {"channels": 16, "codebook_size": 65536, "dim": 16},
        "gq-0.50": {"channels": 16, "codebook_size": 65536, "dim": 8},
        "gq-1.00": {"channels": 16, "codebook_size": 65536, "dim": 4},
        **{
            name: {"codebook_size": 65536, "beta": 1.0 if name == "gq-vit-0.25" else 0.0, **preset}
            for name, preset in _VIT.items()
        },
        "gq2-0.25": {
            "channels": 16,
            "codebook_size": 65536,
            "dim": 16,
            "grouping": "contiguous",
            "training": "straight-through",
            "variant": "tdc-gq2",
        },
    },
    paper="Vector Quantization using Gaussian Variational Autoencoder (GQ), arXiv 2512.06609",
    licence="Apache-2.0",
    capabilities=frozenset({"post-training"}),
    levels=_gq_levels,
    trains_as=_gq_trains_as,
)


def _tokenbridge_levels(p: Parameters) -> list[LevelPlan]:
    _tokenbridge_trains_as(p)  # what is trained in its place must be possible
    names = ("channels", "bits", "definition", "input", "scale", "span")
    return [
        LevelPlan(
            latent_channels=2 * p["channels"],
            code_channels=p["channels"],
            codebook_sizes=(2 ** p["bits"],) * p["channels"],
            arguments={name: p[name] for name in names},
        )
    ]


def _tokenbridge_trains_as(p: Parameters) -> TrainsAs:
    dim = 1 if p["train_dim"] is None else p["train_dim"]
    target = dim * p["bits"] if p["target_bits"] is None else p["target_bits"]
    return _gaussian_vae(p, dim, target, parameter="train_dim")


TOKENBRIDGE = QuantizerSpec(
    name="tokenbridge",
    target="vqbench_plugins.quantizers.tokenbridge:TokenBridge",
    summary="a Gaussian VAE's latent quantized channel by channel with a fixed table",
    parameters=(
        _CHANNELS,
        Parameter(name="bits", type="int", default=6, minimum=1, maximum=9, summary="of each channel"),
        Parameter(
            name="definition",
            type="str",
            default="official",
            choices=("official", "gq"),
            summary="centroids of a truncated normal on a shrunk latent, or midpoints of equally probable cells",
        ),
        Parameter(
            name="input",
            type="str",
            default=None,
            choices=("mean", "sample"),
            summary="what is quantized; by default a posterior sample (fixed noise) for official, the mean for gq",
        ),
        Parameter(
            name="scale",
            type="float",
            default=1.0,
            minimum=1e-6,
            maximum=1e6,
            summary="brings the latent to unit variance; 0.2325 for the VAE that TokenBridge was published with",
        ),
        Parameter(
            name="span",
            type="float",
            default=5.0,
            minimum=1e-6,
            maximum=1e6,
            summary="official: half width of the range, in units of the scaled latent",
        ),
        _GROUPING,
        _TRAINING_TARGET,
        _TRAINING_DIM,
        *_TRAINING,
    ),
    presets={
        "released": {"channels": 16, "bits": 6, "scale": 0.2325},
        "gq-comparison-1.00": {"channels": 16, "bits": 4, "definition": "gq"},
    },
    paper="TokenBridge, arXiv 2503.16430; its use beside Gaussian quantization: arXiv 2512.06609",
    licence="Apache-2.0",
    capabilities=frozenset({"post-training", "positional"}),  # a sample has its noise by position
    levels=_tokenbridge_levels,
    trains_as=_tokenbridge_trains_as,
)
