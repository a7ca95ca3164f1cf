"""The convolutional hourglass: its layers by hand, its size by the published counts."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from vqbench import LevelShape
from vqbench_plugins.backbones.specs import UNET
from vqbench_plugins.backbones.unet import UNet
from vqbench_plugins.backbones.unet_blocks import Attention, Downsample, ResidualBlock, Upsample


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def level(stride: int, latent: int = 4, code: int = 4) -> LevelShape:
    return LevelShape(stride=stride, latent_channels=latent, code_channels=code)


def tiny(image_size: int, levels: list[LevelShape], **overrides: Any) -> UNet:
    torch.manual_seed(0)
    small = {"channels": 8, "norm_groups": 4, "encoder_blocks": 1, "decoder_blocks": 1}
    return UNet(image_size, levels, **{**small, **overrides})


# --- size and structure


@pytest.mark.parametrize(
    ("preset", "stride", "z", "encoder", "decoder"),
    [("sd3-f8", 8, 16, 35_325_856, 51_648_771), ("sd3-f16", 16, 18, 47_147_428, 68_182_787)],
)
def test_presets_have_the_published_parameter_counts(
    preset: str, stride: int, z: int, encoder: int, decoder: int
) -> None:
    with torch.device("meta"):
        backbone = UNet(256, [level(stride, 2 * z, z)], **UNET.presets[preset])
    assert (count(backbone.encoder), count(backbone.decoder)) == (encoder, decoder)
    assert count(backbone) == encoder + decoder


def test_the_published_model_attends_after_each_block_of_the_last_resolution_and_not_in_the_middle() -> None:
    with torch.device("meta"):
        backbone = UNet(256, [level(8)], **UNET.presets["sd3-f8"])
    paths = [name for name, module in backbone.named_modules() if isinstance(module, Attention)]
    assert len([p for p in paths if p.startswith("encoder.stages.3.")]) == 2
    assert len([p for p in paths if p.startswith("decoder.stages.0.")]) == 3
    assert len(paths) == 5
    blocks = [name for name, module in backbone.named_modules() if isinstance(module, ResidualBlock)]
    assert len([b for b in blocks if b.startswith("encoder.")]) == 4 * 2 + 2
    assert len([b for b in blocks if b.startswith("decoder.")]) == 4 * 3 + 2


def test_a_single_level_has_no_nets_between_levels() -> None:
    one, two = tiny(32, [level(8)]), tiny(32, [level(16), level(8)])
    assert count(one.top_down) == 0
    assert not any(name.startswith("top_down") for name in one.state_dict())
    assert count(two.top_down) > 0
    assert {k: v.shape for k, v in one.decoder.state_dict().items()} == {
        k: v.shape for k, v in two.decoder.state_dict().items()
    }


def test_a_stem_folds_pixels_but_never_below_the_finest_stride() -> None:
    folded = tiny(32, [level(8)], stem_stride=4)
    assert folded.encoder.stem[1].weight.shape[1] == 3 * 16
    assert folded.last_layer.shape[0] == 3 * 16
    capped = tiny(32, [level(2)], stem_stride=4)
    assert capped.last_layer.shape[0] == 3 * 4
    assert not any(isinstance(module, Downsample | Upsample) for module in capped.modules())


def test_two_doublings_between_levels_are_two_stages() -> None:
    backbone = tiny(64, [level(16), level(4)])
    assert sum(isinstance(module, Downsample) for module in backbone.encoder.modules()) == 4
    assert sum(isinstance(module, Upsample) for module in backbone.top_down.modules()) == 2


# --- layers by hand


def test_downsampling_pads_right_and_bottom_only() -> None:
    layer = Downsample(1)
    nn.init.ones_(layer.conv.weight)
    nn.init.zeros_(layer.conv.bias)
    assert layer(torch.ones(1, 1, 4, 4)).tolist() == [[[[9.0, 6.0], [6.0, 4.0]]]]


def test_upsampling_repeats_pixels_before_its_conv() -> None:
    layer = Upsample(1)
    nn.init.zeros_(layer.conv.weight)
    nn.init.zeros_(layer.conv.bias)
    layer.conv.weight.data[0, 0, 1, 1] = 1.0  # the identity kernel
    assert layer(torch.tensor([[[[1.0, 2.0]]]])).tolist() == [[[[1.0, 1.0, 2.0, 2.0], [1.0, 1.0, 2.0, 2.0]]]]


def test_attention_is_softmax_of_scaled_products_over_positions() -> None:
    torch.manual_seed(0)
    layer, x = Attention(8, 4).double(), torch.randn(2, 8, 3, 5, dtype=torch.float64)
    normed = layer.norm(x).flatten(2)  # (B, C, N)

    def linear(conv: nn.Conv2d, value: Tensor) -> Tensor:
        return torch.einsum("oc,bcn->bon", conv.weight[:, :, 0, 0], value) + conv.bias[None, :, None]

    query, key, value = (linear(conv, normed) for conv in (layer.query, layer.key, layer.value))
    weights = (torch.einsum("bcn,bcm->bnm", query, key) / 8**0.5).softmax(-1)
    expected = x.flatten(2) + linear(layer.out, torch.einsum("bnm,bcm->bcn", weights, value))
    torch.testing.assert_close(layer(x).flatten(2), expected)


def test_a_residual_block_whose_last_conv_is_zero_is_its_shortcut() -> None:
    x = torch.randn(1, 8, 4, 4)
    for channels, convs in ((8, 2), (12, 3)):
        block = ResidualBlock(8, channels, 4)
        assert sum(isinstance(module, nn.Conv2d) for module in block.modules()) == convs
        nn.init.zeros_(block.conv2.weight)
        nn.init.zeros_(block.conv2.bias)
        torch.testing.assert_close(block(x), block.shortcut(x))


def test_attention_is_where_the_feature_map_has_the_named_size() -> None:
    backbone = tiny(32, [level(8)], attention_resolutions=[8])
    sizes = []
    for module in backbone.modules():
        if isinstance(module, Attention):
            module.register_forward_hook(lambda _module, inputs, _output: sizes.append(tuple(inputs[0].shape[2:])))
    backbone.decode(backbone.encode(torch.rand(1, 3, 32, 32)))
    assert sizes == [(8, 8), (8, 8)]  # one block in the encoder, one in the decoder


# --- the network works at sizes other than the one it was built for


def test_a_fully_convolutional_net_takes_other_image_sizes() -> None:
    backbone = tiny(32, [level(16), level(8)])
    images = torch.rand(1, 3, 48, 64)
    latent, features = backbone.encode(images)
    fine = backbone.fuse(1, features, [latent])
    assert fine.shape == (1, 4, 6, 8)
    assert backbone.decode([latent, fine]).shape == images.shape
