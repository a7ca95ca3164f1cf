"""Descriptors of the quantizers that look nothing up: FSQ, LFQ and BSQ."""

from __future__ import annotations

import math
from typing import Any

from vqbench.specs import LevelPlan, Parameter, Parameters, QuantizerSpec
from vqbench_plugins.quantizers.binary_checks import (
    LARGEST_ENTROPY_GROUP,
    LARGEST_TOKEN_BITS,
    entropy_group_size,
    token_sizes,
)
from vqbench_plugins.quantizers.checks import check_fsq

__all__ = ["BSQ", "FSQ", "LFQ"]


def _level(p: Parameters, channels: int, codebook_sizes: tuple[int, ...]) -> LevelPlan:
    return LevelPlan(latent_channels=channels, code_channels=channels, codebook_sizes=codebook_sizes, arguments=dict(p))


def _fsq_levels(p: Parameters) -> list[LevelPlan]:
    levels, tokens = tuple(p["levels"]), p["tokens"]
    check_fsq(levels, p["bound"])
    channels = len(levels) * tokens
    return [_level(p, channels, (math.prod(levels),) * tokens)]


FSQ = QuantizerSpec(
    name="fsq",
    target="vqbench_plugins.quantizers.fsq:FSQ",
    summary="finite scalar quantization: each channel rounded to a few levels",
    parameters=(
        Parameter(
            name="levels",
            type="ints",
            default=[8, 5, 5, 5],
            minimum=2,
            maximum=1000,
            summary="levels of each channel of a token",
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
            summary="whether a token's first channel is its least or its most significant digit",
        ),
        Parameter(
            name="tokens",
            type="int",
            default=1,
            minimum=1,
            summary="tokens per position, from blocks of channels with these levels each",
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
        "gq-comparison-64-bit": {"levels": [16] * 8, "bound": "atanh", "index_order": "first-most", "tokens": 2},
    },
    paper="Mentzer et al., Finite Scalar Quantization: VQ-VAE Made Simple, arXiv 2309.15505",
    licence="Apache-2.0",
    levels=_fsq_levels,
)


def _binary_levels(p: Parameters) -> list[LevelPlan]:
    entropy_group_size(p["bits"], p["entropy_group"])
    return [_level(p, p["bits"], tuple(1 << size for size in token_sizes(p["bits"], p["token_bits"])))]


def _weight(name: str, default: float, summary: str) -> Parameter:
    return Parameter(name=name, type="float", default=default, minimum=0.0, summary=summary)


_CODES = (
    Parameter(
        name="bits", type="int", default=18, minimum=1, maximum=1024, summary="bits of a position, one a channel"
    ),
    Parameter(
        name="token_bits",
        type="ints",
        default=None,
        minimum=1,
        maximum=LARGEST_TOKEN_BITS,
        summary="bits of the tokens, one number for all or one for each; by default one token of up to 62 bits",
    ),
    Parameter(
        name="bit_order",
        type="str",
        default="msb-first",
        choices=("msb-first", "lsb-first"),
        summary="whether a token's first channel is its most or its least significant bit",
    ),
)


def _entropy(group: int | None, group_summary: str) -> tuple[Parameter, ...]:
    return (
        Parameter(
            name="entropy_group",
            type="int",
            default=group,
            minimum=1,
            maximum=LARGEST_ENTROPY_GROUP,
            summary=f"bits of one group of the codebook entropy; {group_summary}",
        ),
        Parameter(
            name="entropy_reduction",
            type="str",
            default="sum",
            choices=("sum", "mean", "pooled"),
            summary="entropies of groups added, averaged, or the one of the codes averaged over groups as well",
        ),
        Parameter(
            name="log_guard",
            type="str",
            default="none",
            choices=("none", "clamp-1e-5", "add-1e-5", "add-1e-8", "codebook-add-1e-5"),
            summary="what published codes do to probabilities before the logarithm; none is exact",
        ),
        _weight("entropy_weight", 0.1, "of the entropy loss, the difference of the two entropies"),
        _weight("sample_entropy_weight", 1.0, "of the mean entropy of a position's soft code, within the entropy loss"),
        _weight("codebook_entropy_weight", 1.0, "of the entropy of the mean soft code, the diversity, likewise"),
    )


LFQ = QuantizerSpec(
    name="lfq",
    target="vqbench_plugins.quantizers.lfq:LFQ",
    summary="lookup-free quantization: the sign of each channel is a bit",
    parameters=(
        *_CODES,
        Parameter(
            name="temperature", type="float", default=0.01, minimum=1e-6, summary="T of the soft codes softmax(2 z·c/T)"
        ),
        Parameter(name="scale", type="float", default=1.0, minimum=1e-6, summary="codes are vectors of ±scale"),
        *_entropy(None, "by default all, the joint entropy, up to 18 bits"),
        _weight("commitment_weight", 0.25, "of the mean squared distance of latents and codes"),
    ),
    presets={
        "open-magvit2": {"bits": 18, "bit_order": "lsb-first", "log_guard": "codebook-add-1e-5"},
        "open-magvit2-2-tokens": {
            "bits": 18,
            "token_bits": [6, 12],
            "bit_order": "lsb-first",
            "log_guard": "codebook-add-1e-5",
        },
        "maskbit-12-bit": {"bits": 12, "bit_order": "lsb-first", "log_guard": "clamp-1e-5", "entropy_weight": 0.02},
        "gq-comparison-unet-16-bit": {
            "bits": 16,
            "entropy_group": 8,
            "entropy_reduction": "pooled",
            "log_guard": "codebook-add-1e-5",
            "commitment_weight": 0.025,
        },
    },
    paper="Yu et al., Language Model Beats Diffusion: Tokenizer is Key to Visual Generation, arXiv 2310.05737",
    licence="Apache-2.0",
    levels=_binary_levels,
)


def _as_in_bsq_vit(bits: int, group: int = 1) -> dict[str, Any]:
    return {"bits": bits, "entropy_group": group, "log_guard": "add-1e-8", "boost": 3.0}


def _pooled_bit(bits: int) -> dict[str, Any]:
    return {
        "bits": bits,
        "inverse_temperature": 100.0,
        "entropy_reduction": "pooled",
        "log_guard": "add-1e-5",
        "entropy_weight": 10.0,  # 0.1, where the entropies are not divided by the inverse temperature
    }


BSQ = QuantizerSpec(
    name="bsq",
    target="vqbench_plugins.quantizers.bsq:BSQ",
    summary="binary spherical quantization: the signs of the channels of a latent on the unit sphere",
    parameters=(
        *_CODES,
        Parameter(
            name="inverse_temperature",
            type="float",
            default=1.0,
            minimum=1e-6,
            summary="tau of the soft codes softmax(2 tau u·c); the entropies are divided by it",
        ),
        Parameter(
            name="gradient_scale",
            type="str",
            default="1/sqrt(d)",
            choices=("1/sqrt(d)", "1"),
            summary="derivative of the value with respect to the normalised latent: of bsq-vit, or of plain straight-through",
        ),
        *_entropy(1, "1 is bit by bit, unset the joint entropy, up to 18 bits"),
        _weight("commitment_weight", 0.0, "of the squared distance of latents and codes, summed over channels"),
        Parameter(
            name="boost", type="float", default=1.0, minimum=0.0, summary="factor on both losses at the first step"
        ),
        Parameter(
            name="boost_steps",
            type="int",
            default=2000,
            minimum=1,
            summary="steps in which the boost falls linearly to 1",
        ),
    ),
    presets={
        "bsq-vit-18-bit": _as_in_bsq_vit(18),
        "bsq-vit-18-bit-2-groups": _as_in_bsq_vit(18, group=9),
        "bsq-vit-36-bit": _as_in_bsq_vit(36),
        "gq-comparison-vit-16-bit": _as_in_bsq_vit(16),
        "gq-comparison-vit-32-bit": _as_in_bsq_vit(32),
        "gq-comparison-vit-64-bit": _as_in_bsq_vit(64),
        "gq-comparison-unet-16-bit": _pooled_bit(16),
        "gq-comparison-unet-32-bit": _pooled_bit(32),
        "gq-comparison-unet-64-bit": _pooled_bit(64),
    },
    paper="Zhao et al., Image and Video Tokenization with Binary Spherical Quantization, arXiv 2406.07548",
    licence="MIT",
    levels=_binary_levels,
)
