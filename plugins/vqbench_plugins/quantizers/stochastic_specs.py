"""Descriptors of the stochastic quantizers: SQ-VAE, RSQ-VAE, SQ-VAE-2 and their hybrid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from vqbench.specs import LevelPlan, Parameter, Parameters, QuantizerSpec
from vqbench_plugins.quantizers.checks import check_codebook_size
from vqbench_plugins.quantizers.stochastic_checks import (
    check_hybrid,
    check_layers,
    check_schedule,
    check_variance_init,
)

__all__ = ["HQ_VAE", "RSQ_VAE", "SQ_VAE", "SQ_VAE_2"]

_SQ = "vqbench_plugins.quantizers.sq:SQ"
_HQ_VAE_PAPER = "Takida et al., HQ-VAE: Hierarchical Discrete Representation Learning, arXiv 2401.00365"


def _codebook_size(name: str, of: str) -> Parameter:
    return Parameter(name=name, type="int", default=512, minimum=2, maximum=2**24, summary=f"codewords of {of}")


def _variance_init(default: float) -> Parameter:
    return Parameter(
        name="variance_init",
        type="float",
        default=default,
        minimum=0.0,
        summary="exp(a) before training, a the scalar that trains s²; of vmf: of the concentration",
    )


_DIM = Parameter(name="dim", type="int", default=64, minimum=1, summary="channels of a codeword")
_VARIANCE_FORM = Parameter(
    name="variance_form",
    type="str",
    default="sum",
    choices=("sum", "product"),
    summary="s² with a trained scalar a and the encoder's h (0 in type I): exp(h) + exp(a), or exp(h + a)",
)
_VARIANCE_LR_SCALE = Parameter(
    name="variance_lr_scale",
    type="float",
    default=1.0,
    minimum=0.0,
    summary="factor on the learning rate of a; short trainings want more than 1",
)
_TEMPERATURE = (
    Parameter(
        name="tau_start",
        type="float",
        default=1.0,
        minimum=0.0,
        summary="temperature of the relaxed samples at step t = 1, 2 …: max(tau_start·exp(-tau_rate·t), tau_min)",
    ),
    Parameter(name="tau_rate", type="float", default=1e-5, minimum=0.0, summary="decay of the temperature per step"),
    Parameter(name="tau_min", type="float", default=0.0, minimum=0.0, summary="least temperature"),
)
_SHARE = Parameter(name="shared_codebook", type="bool", default=False, summary="one codebook for all layers of a level")
_PROGRESSIVE = Parameter(
    name="progressive",
    type="str",
    default="none",
    choices=("none", "sum", "mean"),
    summary="progressive coding: the likelihoods of the images decoded from 1, 2 … all layers, summed or averaged",
)
# the form and start of the ports of HQ-VAE; in the image part of SQ-VAE it is 1 + exp(a) from 20
_HIERARCHICAL = (
    replace(_VARIANCE_FORM, default="product"),
    _variance_init(60.0),
    _VARIANCE_LR_SCALE,
    *_TEMPERATURE,
    _PROGRESSIVE,
)


def _check(p: Parameters) -> None:
    check_schedule(p["tau_start"], p["tau_rate"], p["tau_min"])
    check_variance_init(p["variance_init"])


def _sq_vae_levels(p: Parameters) -> list[LevelPlan]:
    _check(p)
    check_codebook_size(p["codebook_size"])
    check_layers(1, p["variance"], p["posterior"])
    return [
        LevelPlan(
            latent_channels=p["dim"] if p["variance"] == "I" else 2 * p["dim"],
            code_channels=p["dim"],
            codebook_sizes=(p["codebook_size"],),
            arguments=dict(p),
        )
    ]


def _pyramid(p: Parameters, layers: Sequence[int], codebook_sizes: Sequence[int], **arguments: Any) -> list[LevelPlan]:
    """Levels of halving stride, coarse to fine; the first layer of each is injected, the rest are residual."""
    _check(p)
    weights = {"none": None, "sum": 1.0, "mean": 1 / sum(layers)}
    names = ("dim", "variance_form", "variance_init", "variance_lr_scale", "tau_start", "tau_rate", "tau_min")
    plans = []
    for level, (depth, size) in enumerate(zip(layers, codebook_sizes, strict=True)):
        check_layers(depth, "I", "gaussian")
        check_codebook_size(size)
        own = {"codebook_size": size, "layers": depth, "prefix_weight": weights[p["progressive"]]}
        plans.append(
            LevelPlan(
                relative_stride=2 ** (len(layers) - 1 - level),
                latent_channels=p["dim"],
                code_channels=p["dim"],
                codebook_sizes=(size,) * depth,
                arguments=own | {name: p[name] for name in names} | arguments,
            )
        )
    return plans


SQ_VAE = QuantizerSpec(
    name="sq_vae",
    target=_SQ,
    summary="stochastic quantization: codewords drawn from a posterior that sharpens itself",
    parameters=(
        _codebook_size("codebook_size", "the codebook"),
        _DIM,
        Parameter(
            name="variance",
            type="str",
            default="I",
            choices=("I", "II", "III", "IV"),
            summary="s² is one number, or the encoder's per image, per position, or per position and channel",
        ),
        _VARIANCE_FORM,
        _variance_init(20.0),
        _VARIANCE_LR_SCALE,
        Parameter(
            name="posterior",
            type="str",
            default="gaussian",
            choices=("gaussian", "vmf"),
            summary="of the distance between latent and codeword, or von Mises-Fisher: of the angle between them",
        ),
        *_TEMPERATURE,
        Parameter(
            name="noise",
            type="str",
            default="guarded",
            choices=("guarded", "clamped"),
            summary="Gumbel noise: logarithms guarded by 1e-10 (image part of the original), or clamped (speech part)",
        ),
    ),
    presets={
        "mnist": {"codebook_size": 128, "dim": 64, "variance_init": 10.0},
        "cifar10": {"codebook_size": 512, "dim": 64, "variance_init": 20.0},
        "celeba-64": {"codebook_size": 512, "dim": 64, "variance_init": 20.0},
        "cifar10-vmf": {"codebook_size": 512, "dim": 64, "posterior": "vmf", "variance_init": 0.05},
    },
    paper="Takida et al., SQ-VAE: Variational Bayes on Discrete Representation, arXiv 2205.07547",
    licence="Apache-2.0",
    levels=_sq_vae_levels,
    objective="elbo",
)

RSQ_VAE = QuantizerSpec(
    name="rsq_vae",
    target=_SQ,
    summary="residual stochastic quantization: each layer draws a codeword for what the ones before left",
    parameters=(
        _codebook_size("codebook_size", "each layer"),
        _DIM,
        Parameter(name="layers", type="int", default=4, minimum=1, maximum=64, summary="layers, tokens per position"),
        _SHARE,
        *_HIERARCHICAL,
    ),
    paper=_HQ_VAE_PAPER,
    licence="Apache-2.0",
    levels=lambda p: _pyramid(p, [p["layers"]], [p["codebook_size"]], shared_codebook=p["shared_codebook"]),
    objective="elbo",
)

SQ_VAE_2 = QuantizerSpec(
    name="sq_vae_2",
    target=_SQ,
    summary="two levels of stochastic quantization, the finer one given what the coarser one drew",
    parameters=(
        _codebook_size("coarse_codebook_size", "the coarse level"),
        _codebook_size("fine_codebook_size", "the fine level"),
        _DIM,
        *_HIERARCHICAL,
    ),
    paper=_HQ_VAE_PAPER,
    licence="Apache-2.0",
    levels=lambda p: _pyramid(p, [1, 1], [p["coarse_codebook_size"], p["fine_codebook_size"]]),
    objective="elbo",
)


def _hq_vae_levels(p: Parameters) -> list[LevelPlan]:
    check_hybrid(p["layers"], p["codebook_sizes"])
    return _pyramid(p, p["layers"], p["codebook_sizes"], shared_codebook=p["shared_codebook"])


HQ_VAE = QuantizerSpec(
    name="hq_vae",
    target=_SQ,
    summary="hybrid of both: up to three levels, each of one injected and any number of residual layers",
    parameters=(
        Parameter(
            name="codebook_sizes",
            type="ints",
            default=[512, 512],
            minimum=2,
            maximum=2**24,
            summary="codewords of each layer of a level, for each level, coarse to fine",
        ),
        Parameter(
            name="layers",
            type="ints",
            default=[2, 2],
            minimum=1,
            maximum=64,
            summary="layers of each level, coarse to fine",
        ),
        _DIM,
        _SHARE,
        *_HIERARCHICAL,
    ),
    paper=_HQ_VAE_PAPER,
    licence="Apache-2.0",
    levels=_hq_vae_levels,
    objective="elbo",
)
