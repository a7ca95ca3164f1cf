"""Descriptors of the codebook methods: presets, bits, and parameters that do not go together."""

from __future__ import annotations

from typing import Any

import pytest

from vqbench.catalog import resolve_parameters
from vqbench.errors import ParameterError
from vqbench.rate import Bits, LevelRate
from vqbench.specs import QuantizerSpec
from vqbench_plugins.quantizers.codebook_specs import VQ_VAE_2, VQGAN
from vqbench_plugins.quantizers.rq_specs import RQ_VAE


def bits(spec: QuantizerSpec, positions: int, preset: str) -> float:
    """Of a preset at ``positions`` × ``positions`` of the finest level."""
    levels = spec.levels(resolve_parameters(spec, preset=preset))
    rates = []
    for level in levels:
        side = positions // level.relative_stride
        rates.append(LevelRate(height=side, width=side, codebook_sizes=level.codebook_sizes))
    return float(Bits.of(rates))


@pytest.mark.parametrize(
    ("spec", "preset", "positions", "expected"),
    [
        (VQGAN, "llamagen", 16, 3584),
        (RQ_VAE, "imagenet-8x8x4", 8, 3584),
        (VQ_VAE_2, "3584-bit-at-16x16", 16, 3584),
        (RQ_VAE, "ffhq-8x8x4", 8, 2816),
        (VQ_VAE_2, "2816-bit-at-16x16", 16, 2816),
        (VQ_VAE_2, "published", 64, 46080),
    ],
    ids=lambda value: value.name if isinstance(value, QuantizerSpec) else value,
)
def test_presets_have_the_published_bits(spec: QuantizerSpec, preset: str, positions: int, expected: int) -> None:
    assert bits(spec, positions, preset) == expected


def test_only_the_released_vqgan_has_beta_on_the_codebook_loss() -> None:
    legacy = {name for name in VQGAN.presets if resolve_parameters(VQGAN, preset=name)["beta_placement"] == "legacy"}
    assert legacy == {"taming-imagenet-f16"}


def test_counts_start_at_one_everywhere() -> None:
    for spec in (VQGAN, VQ_VAE_2, RQ_VAE):
        for preset in (None, *spec.presets):
            parameters = resolve_parameters(spec, preset=preset)
            assert parameters["counts_init"] == "ones"
            assert all(level.arguments["counts_init"] == "ones" for level in spec.levels(parameters))


@pytest.mark.parametrize(
    ("spec", "values", "message"),
    [
        (VQGAN, {"loss": "joint", "update": "ema"}, "Use loss 'split'"),
        (VQGAN, {"restart_below": 0.5}, "Set update = 'ema'"),
        (VQGAN, {"update": "ema", "decay": 1.0}, "decay"),
        (VQ_VAE_2, {"eps": 0.0}, "eps must be positive"),
        (RQ_VAE, {"decay": 0.0}, "decay"),
        (RQ_VAE, {"depth": 0}, "depth"),
        (RQ_VAE, {"gradient": "per-depth"}, "gradient"),
    ],
    ids=lambda value: value.name if isinstance(value, QuantizerSpec) else None,
)
def test_parameters_that_do_not_go_together_are_named_when_planning(
    spec: QuantizerSpec, values: dict[str, Any], message: str
) -> None:
    with pytest.raises(ParameterError, match=message):
        spec.levels(resolve_parameters(spec, values))
