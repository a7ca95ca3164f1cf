"""A plugin with the smallest components that have everything training can trip over.

``noisy_vq`` draws random numbers, anneals with the step clock and keeps its codebook in moving averages (buffers) beside a
trained scale; ``two_noisy`` is it at two levels; ``gauss`` is a Gaussian posterior with a loss in nats; ``rounded`` converts
what ``gauss`` trained and calibrates itself. ``faulty`` misbehaves as its parameter says.
"""

from __future__ import annotations

from vqbench import (
    BackboneSpec,
    DatasetSpec,
    LevelPlan,
    Parameter,
    ParameterError,
    QuantizerSpec,
    TrainsAs,
    hookimpl,
)

VQBENCH_API = 1
CHANNELS, CODES = 2, 8


def _vq_level(relative_stride: int = 1) -> LevelPlan:
    return LevelPlan(
        latent_channels=CHANNELS,
        code_channels=CHANNELS,
        codebook_sizes=(CODES,),
        arguments={"channels": CHANNELS, "codes": CODES},
        relative_stride=relative_stride,
    )


def _gauss_level(codebook_sizes: tuple[int, ...]) -> LevelPlan:
    return LevelPlan(
        latent_channels=2 * CHANNELS,
        code_channels=CHANNELS,
        codebook_sizes=codebook_sizes,
        arguments={"channels": CHANNELS} | ({"grid": codebook_sizes[0]} if codebook_sizes else {}),
    )


def _rounded_levels(parameters):
    if parameters["grid"] == 13:
        raise ParameterError("rounded: an unlucky grid")
    return [_gauss_level((parameters["grid"],) * CHANNELS)]


@hookimpl
def vqbench_quantizers():
    yield QuantizerSpec(name="noisy_vq", target="toy_components:NoisyVQ", summary="toy", levels=lambda p: [_vq_level()])
    yield QuantizerSpec(
        name="two_noisy",
        target="toy_components:NoisyVQ",
        summary="toy, two levels",
        levels=lambda p: [_vq_level(2), _vq_level()],
    )
    yield QuantizerSpec(
        name="gauss",
        target="toy_components:Gauss",
        summary="toy posterior",
        objective="elbo",
        levels=lambda p: [_gauss_level(())],
    )
    yield QuantizerSpec(
        name="rounded",
        target="toy_components:Rounded",
        summary="toy conversion",
        parameters=(Parameter(name="grid", type="int", default=4, minimum=2, summary="values per channel"),),
        levels=_rounded_levels,
        trains_as=lambda p: TrainsAs(quantizer="toy_plugin/gauss", parameters={}),
    )
    yield QuantizerSpec(
        name="faulty",
        target="toy_components:Faulty",
        summary="toy with a fault",
        parameters=(Parameter(name="fault", type="str", default="none", summary="what is wrong"),),
        levels=lambda p: [
            LevelPlan(
                latent_channels=CHANNELS,
                code_channels=CHANNELS,
                codebook_sizes=(CODES,),
                arguments={"channels": CHANNELS, "codes": CODES, "fault": p["fault"]},
            )
        ],
    )


@hookimpl
def vqbench_backbones():
    yield BackboneSpec(
        name="convs",
        target="toy_components:Convs",
        summary="toy convolutions",
        parameters=(Parameter(name="width", type="int", default=4, minimum=1, summary="channels"),),
    )


@hookimpl
def vqbench_datasets():
    yield DatasetSpec(
        name="squares",
        target="toy_components:Squares",
        summary="toy images",
        parameters=(Parameter(name="count", type="int", default=10, minimum=0, summary="training images"),),
        revision=lambda p: "1",
    )
