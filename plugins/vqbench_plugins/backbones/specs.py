"""Descriptors of the built-in backbones, and what parameters of theirs go together; needs no torch."""

from __future__ import annotations

from collections.abc import Sequence

from vqbench.errors import ParameterError
from vqbench.specs import BackboneSpec, LevelShape, Parameter, Parameters
from vqbench_plugins.backbones.geometry import check_levels, doublings, stage_multipliers

__all__ = ["BACKBONES", "check_unet", "check_vit"]


def check_unet(parameters: Parameters, image_size: int, levels: Sequence[LevelShape]) -> None:
    """Whether a UNet can be built so.

    Raises:
        ParameterError: it cannot; the message names the parameter and the way out.
    """
    check_levels(image_size, levels)
    _at_least_one(parameters, "channels", "stem_stride", "encoder_blocks", "decoder_blocks", "norm_groups")
    finest, coarsest = levels[-1].stride, levels[0].stride
    if parameters["stem_stride"] & (parameters["stem_stride"] - 1):
        raise ParameterError(
            "stem_stride is not a power of two",
            got=parameters["stem_stride"],
            expected="1, 2, 4 …",
            hint="Set stem_stride = 1 for convolutions at full resolution.",
        )
    stem = min(parameters["stem_stride"], finest)
    stages, given = doublings(finest, stem) + 1, parameters["multipliers"]
    if given is not None and len(given) != stages:
        raise ParameterError(
            "multipliers do not fit the stride of the finest level",
            got=f"{len(given)} multipliers {list(given)} for stride {finest} and stem_stride {stem}",
            expected=f"{stages}, one for each resolution from the stem's to the finest level's",
            hint="Leave multipliers unset to have them derived from the stride, or use a preset made for this stride.",
        )
    multipliers = stage_multipliers(given, stages, doublings(coarsest, finest))
    groups = parameters["norm_groups"]
    for multiplier in multipliers:
        channels = parameters["channels"] * multiplier
        if multiplier < 1 or channels % groups:
            raise ParameterError(
                "norm_groups does not divide the channels of every stage",
                got=f"norm_groups {groups}, {channels} channels (channels {parameters['channels']} × {multiplier})",
                hint=f"Choose channels that are a multiple of {groups}, or fewer norm_groups.",
            )
    resolutions = [image_size // stem // 2**i for i in range(len(multipliers))]
    absent = [size for size in parameters["attention_resolutions"] if size not in resolutions]
    if absent:
        raise ParameterError(
            "attention_resolutions names feature maps that do not occur",
            got=f"{absent} for image_size {image_size}",
            expected=f"some of {resolutions}",
            hint="Set attention_resolutions to sizes that occur, or to [] for no attention.",
        )


def check_vit(parameters: Parameters, image_size: int, levels: Sequence[LevelShape]) -> None:
    """Whether a ViT can be built so.

    Raises:
        ParameterError: it cannot; the message names the parameter and the way out.
    """
    check_levels(image_size, levels)
    _at_least_one(parameters, "width", "heads", "encoder_depth", "decoder_depth", "mlp_ratio")
    width, heads, depth = parameters["width"], parameters["heads"], parameters["encoder_depth"]
    if width % heads:
        raise ParameterError(
            "heads does not divide width",
            got=f"heads {heads}, width {width}",
            hint=f"Choose a width that is a multiple of {heads}, or other heads.",
        )
    if len(levels) > depth:
        raise ParameterError(
            "encoder_depth leaves a level without a block",
            got=f"encoder_depth {depth} for {len(levels)} levels",
            expected=f"at least {len(levels)}",
            hint="Raise encoder_depth, or use a quantizer with fewer levels.",
        )


def _at_least_one(parameters: Parameters, *names: str) -> None:
    for name in names:
        if parameters[name] < 1:
            raise ParameterError(f"{name} is too small", got=parameters[name], expected="at least 1")


UNET = BackboneSpec(
    name="unet",
    target="vqbench_plugins.backbones.unet:UNet",
    summary="SD3-style convolutional hourglass autoencoder",
    parameters=(
        Parameter(name="channels", type="int", default=128, minimum=1, summary="channels at full resolution"),
        Parameter(
            name="multipliers",
            type="ints",
            default=None,
            minimum=1,
            summary="channels of each resolution down to the finest level's, as multiples; unset: 1, 2, 4, 4 …",
        ),
        Parameter(
            name="stem_stride",
            type="int",
            default=1,
            minimum=1,
            summary="pixels per side folded into channels before the first convolution and unfolded after the last; "
            "at most the stride of the finest level",
        ),
        Parameter(
            name="encoder_blocks", type="int", default=2, minimum=1, summary="residual blocks per resolution, encoder"
        ),
        Parameter(
            name="decoder_blocks", type="int", default=3, minimum=1, summary="residual blocks per resolution, decoder"
        ),
        Parameter(
            name="attention_resolutions",
            type="ints",
            default=(),
            minimum=1,
            summary="sizes in pixels of the feature maps with self-attention after each block",
        ),
        Parameter(name="norm_groups", type="int", default=32, minimum=1, summary="groups of every GroupNorm"),
    ),
    presets={
        "tiny": {"channels": 32, "stem_stride": 4, "encoder_blocks": 1, "decoder_blocks": 1, "norm_groups": 8},
        "small": {"channels": 64, "stem_stride": 2, "encoder_blocks": 1, "decoder_blocks": 2, "norm_groups": 32},
        "sd3-f8": {"multipliers": (1, 2, 4, 4), "attention_resolutions": (32,)},
        "sd3-f16": {"multipliers": (1, 2, 4, 4, 4), "attention_resolutions": (16,)},
    },
    paper="Xu et al., Vector quantization using Gaussian variational autoencoder; after Esser et al., arXiv 2403.03206",
    licence="Apache-2.0",
    capabilities=frozenset({"multi-level"}),
    check=check_unet,
)

VIT = BackboneSpec(
    name="vit",
    target="vqbench_plugins.backbones.vit:ViT",
    summary="BSQ-ViT: plain transformer encoder and decoder on patches",
    parameters=(
        Parameter(name="width", type="int", default=768, minimum=1, summary="channels of a token"),
        Parameter(name="heads", type="int", default=12, minimum=1, summary="attention heads"),
        Parameter(
            name="encoder_depth", type="int", default=12, minimum=1, summary="encoder blocks, shared among the levels"
        ),
        Parameter(name="decoder_depth", type="int", default=12, minimum=1, summary="decoder blocks"),
        Parameter(name="mlp_ratio", type="int", default=4, minimum=1, summary="hidden width of an MLP over width"),
    ),
    presets={
        "tiny": {"width": 96, "heads": 3, "encoder_depth": 3, "decoder_depth": 3},
        "small": {"width": 384, "heads": 6, "encoder_depth": 6, "decoder_depth": 6},
        "bsq-b8": {"width": 768, "heads": 12, "encoder_depth": 12, "decoder_depth": 12},
    },
    paper="Zhao et al., Image and Video Tokenization with Binary Spherical Quantization, arXiv 2406.07548",
    licence="Apache-2.0",
    capabilities=frozenset({"multi-level"}),
    check=check_vit,
)

BACKBONES: tuple[BackboneSpec, ...] = (UNET, VIT)
"""All built-in backbones."""
