"""Strides, stages and blocks: the arithmetic behind both backbones, and the torch-free descriptors."""

from __future__ import annotations

import inspect
import subprocess
import sys
from importlib import import_module
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vqbench import LevelShape, ParameterError
from vqbench_plugins.backbones import BACKBONES
from vqbench_plugins.backbones.geometry import check_levels, doublings, split_depth, stage_multipliers
from vqbench_plugins.backbones.specs import check_unet, check_vit

SPECS = {spec.name: spec for spec in BACKBONES}


def levels(*strides: int) -> list[LevelShape]:
    return [LevelShape(stride=s, latent_channels=4, code_channels=4) for s in strides]


def parameters(name: str, **overrides: Any) -> dict[str, Any]:
    return {p.name: p.default for p in SPECS[name].parameters} | overrides


@given(st.integers(0, 12), st.integers(0, 12))
def test_doublings_counts_the_powers_between_two_strides(fine: int, more: int) -> None:
    assert doublings(2 ** (fine + more), 2**fine) == more


@given(st.integers(1, 40), st.integers(1, 6))
def test_split_depth_uses_every_block_and_is_even(depth: int, count: int) -> None:
    shares = split_depth(depth, count)
    assert len(shares) == count
    assert sum(shares) == depth
    assert max(shares) - min(shares) <= 1
    assert list(shares) == sorted(shares, reverse=True)


def test_multipliers_default_to_the_published_ones_at_strides_8_and_16() -> None:
    assert stage_multipliers(None, 4, 0) == (1, 2, 4, 4)
    assert stage_multipliers(None, 5, 0) == (1, 2, 4, 4, 4)
    assert stage_multipliers(None, 1, 0) == (1,)


def test_coarser_levels_repeat_the_last_multiplier() -> None:
    assert stage_multipliers((1, 3), 2, 2) == (1, 3, 3, 3)


@pytest.mark.parametrize(
    ("image_size", "strides", "message"),
    [
        (64, (), "at least one level"),
        (64, (12,), "not a power of two: got 12"),
        (64, (0,), "not a power of two: got 0"),
        (64, (8, 16), "coarse to fine"),
        (64, (8, 8), "coarse to fine"),
        (60, (8,), "image_size is not divisible"),
        (72, (16, 8), "image_size 72, stride 16"),
        (0, (8,), "image_size is not divisible"),
    ],
)
@pytest.mark.parametrize("name", ["unet", "vit"])
def test_levels_that_are_no_pyramid_are_refused(
    name: str, image_size: int, strides: tuple[int, ...], message: str
) -> None:
    check = SPECS[name].check
    assert check is not None
    with pytest.raises(ParameterError, match=message):
        check(parameters(name), image_size, levels(*strides))


def test_levels_without_channels_are_refused() -> None:
    with pytest.raises(ParameterError, match="no channels"):
        check_levels(64, [LevelShape(stride=8, latent_channels=0, code_channels=4)])


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"norm_groups": 24}, "norm_groups does not divide.*norm_groups 24, 128 channels"),
        ({"channels": 40, "norm_groups": 16}, "norm_groups 16, 40 channels"),
        ({"multipliers": [1, 2, 4]}, "multipliers do not fit.*3 multipliers.*expected 4"),
        ({"multipliers": [1, 2, 4, 4, 4]}, "5 multipliers.*expected 4"),
        ({"multipliers": [1, 2, 4, 4], "stem_stride": 2}, "4 multipliers.*expected 3"),
        ({"multipliers": [1, 0, 1, 1]}, "0 channels"),
        ({"stem_stride": 3}, "stem_stride is not a power of two: got 3"),
        ({"stem_stride": 0}, "stem_stride is too small"),
        ({"attention_resolutions": [32, 20]}, r"\[20\] for image_size 64.*\[64, 32, 16, 8\]"),
        ({"channels": 0}, "channels is too small"),
        ({"decoder_blocks": 0}, "decoder_blocks is too small"),
    ],
)
def test_unet_parameters_that_do_not_go_together_are_refused(overrides: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        check_unet(parameters("unet", **overrides), 64, levels(8))


@pytest.mark.parametrize(
    ("overrides", "strides", "message"),
    [
        ({"heads": 7}, (8,), "heads does not divide width: got heads 7, width 768"),
        ({"encoder_depth": 1}, (16, 8), "encoder_depth leaves a level without a block.*at least 2"),
        ({"encoder_depth": 2}, (32, 16, 8), "at least 3"),
        ({"decoder_depth": 0}, (8,), "decoder_depth is too small"),
        ({"mlp_ratio": 0}, (8,), "mlp_ratio is too small"),
    ],
)
def test_vit_parameters_that_do_not_go_together_are_refused(
    overrides: dict[str, Any], strides: tuple[int, ...], message: str
) -> None:
    with pytest.raises(ParameterError, match=message):
        check_vit(parameters("vit", **overrides), 64, levels(*strides))


def test_a_refusal_says_what_to_do() -> None:
    with pytest.raises(ParameterError) as refusal:
        check_unet(parameters("unet", multipliers=[1, 2, 4, 4]), 64, levels(16))
    assert refusal.value.hint is not None
    assert "multipliers" in refusal.value.hint


@pytest.mark.parametrize(
    ("name", "preset", "image_size", "strides"),
    [
        ("unet", "sd3-f8", 256, (8,)),
        ("unet", "sd3-f8", 256, (16, 8)),
        ("unet", "sd3-f8", 256, (64, 8)),
        ("unet", "sd3-f16", 256, (16,)),
        ("vit", "bsq-b8", 256, (8,)),
        ("vit", "bsq-b8", 256, (16, 8)),
        ("unet", "tiny", 96, (1,)),
        ("vit", "tiny", 96, (32, 16, 2)),
    ],
)
def test_what_presets_are_made_for_is_accepted(
    name: str, preset: str, image_size: int, strides: tuple[int, ...]
) -> None:
    check = SPECS[name].check
    assert check is not None
    check(parameters(name, **SPECS[name].presets[preset]), image_size, levels(*strides))


@pytest.mark.parametrize("name", ["unet", "vit"])
def test_the_constructor_takes_what_the_descriptor_announces(name: str) -> None:
    module, _, attribute = SPECS[name].target.partition(":")
    signature = inspect.signature(getattr(import_module(module), attribute))
    keywords = {p.name: p.default for p in signature.parameters.values() if p.kind is p.KEYWORD_ONLY}
    assert keywords == {p.name: p.default for p in SPECS[name].parameters}
    for preset in SPECS[name].presets.values():
        assert set(preset) <= set(keywords)


def test_the_constructor_refuses_what_the_check_refuses() -> None:
    from vqbench_plugins.backbones.unet import UNet
    from vqbench_plugins.backbones.vit import ViT

    with pytest.raises(ParameterError, match="norm_groups"):
        UNet(64, levels(8), channels=20, norm_groups=8)
    with pytest.raises(ParameterError, match="heads"):
        ViT(64, levels(8), width=20, heads=3)


def test_descriptors_need_no_torch() -> None:
    code = (
        "import sys, vqbench_plugins.backbones as b; assert len(b.BACKBONES) == 2;"
        "print([m for m in ('torch', 'timm', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
