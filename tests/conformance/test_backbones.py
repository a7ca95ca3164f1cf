"""What built-in backbones do beyond the conformance kit (test_components.py): every size, three levels, scaling, presets."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import pytest
import torch
from torch import Tensor

from vqbench import Backbone, BackboneSpec, LevelShape, ParameterError
from vqbench_plugins.backbones import BACKBONES

SMALL: dict[str, dict[str, Any]] = {  # smaller than the presets, for quick tests
    "unet": {"channels": 8, "norm_groups": 4, "encoder_blocks": 1, "decoder_blocks": 1},
    "vit": {"width": 16, "heads": 2, "encoder_depth": 3, "decoder_depth": 1},
}
every_backbone = pytest.mark.parametrize("spec", BACKBONES, ids=lambda spec: spec.name)


def pyramid(stride: int, count: int) -> list[LevelShape]:
    """``count`` levels whose finest has ``stride``; channels differ between levels and between latent and code."""
    return [
        LevelShape(stride=stride * 2**i, latent_channels=2 * (3 + i), code_channels=3 + i)
        for i in reversed(range(count))
    ]


def build(spec: BackboneSpec, image_size: int, levels: Sequence[LevelShape], **overrides: Any) -> Backbone:
    torch.manual_seed(0)
    module, _, attribute = spec.target.partition(":")
    backbone: Backbone = getattr(import_module(module), attribute)(image_size, levels, **SMALL[spec.name] | overrides)
    return backbone


def quantize(latents: Tensor, level: LevelShape) -> Tensor:
    """A stand-in for a quantizer: half of the latent's channels."""
    return latents[:, : level.code_channels]


def values_of(backbone: Backbone, images: Tensor) -> list[Tensor]:
    """Values of all levels, as a tokenizer makes them."""
    features = backbone.encode(images)
    values: list[Tensor] = []
    for i, level in enumerate(backbone.levels):
        latents = features[0] if i == 0 else backbone.fuse(i, features[i], values)
        values.append(quantize(latents, level))
    return values


@every_backbone
@pytest.mark.parametrize("image_size", [32, 64, 96])
@pytest.mark.parametrize("stride", [2, 4, 8, 16])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_latents_and_images_have_the_promised_shapes(
    spec: BackboneSpec, image_size: int, stride: int, count: int
) -> None:
    levels = pyramid(stride, count)
    if image_size % levels[0].stride:
        with pytest.raises(ParameterError, match="image_size"):
            build(spec, image_size, levels)
        return
    backbone = build(spec, image_size, levels).eval()
    images = torch.rand(1, 3, image_size, image_size)
    with torch.no_grad():
        features = backbone.encode(images)
        assert len(features) == count
        values: list[Tensor] = []
        for i, level in enumerate(levels):
            latents = features[0] if i == 0 else backbone.fuse(i, features[i], values)
            grid = image_size // level.stride
            assert latents.shape == (1, level.latent_channels, grid, grid)
            assert features[i].shape[2:] == (grid, grid)
            values.append(quantize(latents, level))
        decoded = backbone.decode(values)
    assert decoded.shape == images.shape
    assert decoded.dtype == torch.float32
    assert decoded.isfinite().all()


@every_backbone
def test_a_level_may_be_several_doublings_coarser(spec: BackboneSpec) -> None:
    levels = [LevelShape(stride=s, latent_channels=6, code_channels=3) for s in (16, 2)]
    backbone = build(spec, 32, levels)
    values = values_of(backbone, torch.rand(2, 3, 32, 32))
    assert [tuple(v.shape) for v in values] == [(2, 3, 2, 2), (2, 3, 16, 16)]
    assert backbone.decode(values).shape == (2, 3, 32, 32)


@every_backbone
def test_the_decoder_sees_values_only_of_three_levels_too(spec: BackboneSpec) -> None:
    """Of fewer the conformance kit sees it."""
    backbone = build(spec, 32, pyramid(4, 3))
    images = torch.rand(1, 3, 32, 32, requires_grad=True)
    values = [v.detach().requires_grad_() for v in values_of(backbone, images)]
    first = backbone.decode(values)
    values_of(backbone, torch.rand(1, 3, 32, 32))  # another image changes nothing
    assert torch.equal(backbone.decode(values), first)
    (first**2).sum().backward()
    assert images.grad is None
    encoder = {id(p) for p in backbone.encoder.parameters()}  # type: ignore[union-attr]
    assert encoder
    assert all(p.grad is None for p in backbone.parameters() if id(p) in encoder)
    assert all(v.grad is not None and v.grad.abs().sum() > 0 for v in values)


@every_backbone
@pytest.mark.parametrize("count", [1, 3])
def test_every_parameter_learns_through_the_values(spec: BackboneSpec, count: int) -> None:
    backbone = build(spec, 32, pyramid(4, count))
    images = torch.rand(2, 3, 32, 32)
    (backbone.decode(values_of(backbone, images)) - images).square().sum().backward()
    idle = [name for name, p in backbone.named_parameters() if p.grad is None or not p.grad.any()]
    assert not idle


@every_backbone
def test_a_finer_latent_depends_on_all_coarser_values_and_on_its_features(spec: BackboneSpec) -> None:
    backbone = build(spec, 32, pyramid(4, 3))
    images = torch.rand(1, 3, 32, 32)
    features = [f.detach().requires_grad_() for f in backbone.encode(images)]
    values = [v.detach().requires_grad_() for v in values_of(backbone, images)]
    backbone.fuse(2, features[2], values[:2]).square().sum().backward()
    assert values[0].grad is not None
    assert values[0].grad.any()
    assert values[1].grad is not None
    assert values[1].grad.any()
    assert features[2].grad is not None
    assert features[2].grad.any()
    assert values[2].grad is None
    with torch.no_grad():
        before = backbone.fuse(1, features[1], values[:1])
        after = backbone.fuse(1, features[1], [values[0] + 1])
    assert not torch.equal(before, after)


@every_backbone
def test_images_enter_centred_and_leave_unclamped(spec: BackboneSpec) -> None:
    backbone = build(spec, 32, pyramid(8, 1))
    values = values_of(backbone, torch.rand(1, 3, 32, 32))
    weight = backbone.last_layer
    bias = next(
        m.bias for m in backbone.modules() if getattr(m, "weight", None) is weight and isinstance(m.bias, Tensor)
    )
    with torch.no_grad():
        weight.zero_()
        bias.fill_(5.0)
        assert (backbone.decode(values) == 3.0).all()  # (5 + 1) / 2: no tanh, no clamp
        bias.zero_()
        assert (backbone.decode(values) == 0.5).all()
        grey = backbone.encoder(torch.zeros(1, 3, 32, 32))  # type: ignore[operator]
        assert torch.equal(backbone.encode(torch.full((1, 3, 32, 32), 0.5))[0], grey[0])


@every_backbone
def test_the_last_layer_is_a_parameter_that_scales_the_output(spec: BackboneSpec) -> None:
    backbone = build(spec, 32, pyramid(8, 1))
    assert any(p is backbone.last_layer for p in backbone.parameters())
    values = [torch.randn(1, 3, 4, 4)]
    with torch.no_grad():
        once = backbone.decode(values)
        backbone.last_layer.mul_(2)
        twice = backbone.decode(values)
        backbone.last_layer.zero_()
        bias = backbone.decode(values)
    torch.testing.assert_close(twice - bias, 2 * (once - bias))


@every_backbone
@pytest.mark.parametrize("count", [1, 2])
def test_bf16_autocast_gives_float32_images_close_to_full_precision(spec: BackboneSpec, count: int) -> None:
    backbone = build(spec, 32, pyramid(8, count)).eval()
    images = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        exact = backbone.decode(values_of(backbone, images))
        with torch.autocast("cpu", torch.bfloat16):
            rounded = backbone.decode([v.float() for v in values_of(backbone, images)])
    assert rounded.dtype == torch.float32
    assert (rounded - exact).abs().max() < 0.05


@every_backbone
def test_the_graph_has_no_breaks(spec: BackboneSpec) -> None:
    backbone = build(spec, 32, pyramid(8, 2)).eval()
    images = torch.rand(1, 3, 32, 32)
    compiled = torch.compile(lambda x: backbone.decode(values_of(backbone, x)), fullgraph=True, backend="eager")
    with torch.no_grad():
        torch.testing.assert_close(compiled(images), backbone.decode(values_of(backbone, images)))


@every_backbone
def test_presets_build_and_learn(spec: BackboneSpec) -> None:
    torch.manual_seed(0)
    module, _, attribute = spec.target.partition(":")
    level = LevelShape(stride=8, latent_channels=8, code_channels=8)
    backbone = getattr(import_module(module), attribute)(32, [level], **spec.presets["tiny"])
    optimiser = torch.optim.AdamW(backbone.parameters(), lr=2e-3)
    images = torch.rand(4, 3, 4, 4).repeat_interleave(8, 2).repeat_interleave(8, 3)  # flat 8×8 tiles

    def error() -> Tensor:
        return torch.nn.functional.mse_loss(backbone.decode(backbone.encode(images)), images)

    before = error().item()
    for _ in range(40):
        optimiser.zero_grad()
        error().backward()
        optimiser.step()
    print(before, error().item())
    assert error().item() < 0.1 * before
