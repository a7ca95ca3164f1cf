"""BSQ-ViT: its layers by hand, its size by the published counts."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from timm.models.vision_transformer import Block
from torch import nn

from vqbench import LevelShape, TensorError
from vqbench_plugins.backbones.specs import VIT
from vqbench_plugins.backbones.vit import ViT
from vqbench_plugins.backbones.vit_blocks import PatchMerge, PatchSplit, PositionEmbedding, to_map, to_tokens


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def level(stride: int, latent: int = 4, code: int = 4) -> LevelShape:
    return LevelShape(stride=stride, latent_channels=latent, code_channels=code)


def tiny(image_size: int, levels: list[LevelShape], **overrides: Any) -> ViT:
    torch.manual_seed(0)
    return ViT(image_size, levels, **{"width": 16, "heads": 2, "encoder_depth": 3, "decoder_depth": 2} | overrides)


# --- size and structure


def test_the_preset_has_the_published_parameter_counts() -> None:
    with torch.device("meta"):
        backbone = ViT(256, [level(8, 32, 16)], **VIT.presets["bsq-b8"])
    assert (count(backbone.encoder), count(backbone.decoder)) == (86_016_032, 88_809_408)
    assert count(backbone) == 86_016_032 + 88_809_408


def test_a_single_level_has_no_nets_between_levels() -> None:
    one, two = tiny(32, [level(8)]), tiny(32, [level(16), level(8)])
    assert not any("top_down" in name or "merges" in name for name in one.state_dict())
    assert count(two.top_down) > 0
    assert {k: v.shape for k, v in one.decoder.state_dict().items()} == {
        k: v.shape for k, v in two.decoder.state_dict().items()
    }


@pytest.mark.parametrize(("strides", "shares"), [((8,), [5]), ((16, 8), [3, 2]), ((32, 16, 8), [2, 2, 1])])
def test_levels_share_the_encoder_blocks(strides: tuple[int, ...], shares: list[int]) -> None:
    backbone = tiny(32, [level(s) for s in strides], encoder_depth=5)
    assert [len(stage) for stage in backbone.encoder.stages] == shares
    assert sum(isinstance(module, Block) for module in backbone.encoder.modules()) == 5


def test_each_block_sees_all_tokens_of_its_grid() -> None:
    backbone = tiny(32, [level(16), level(4)])
    counts = []
    for stage in backbone.encoder.stages:
        for block in stage:
            block.register_forward_hook(lambda _module, inputs, _output: counts.append(inputs[0].shape[1]))
    backbone.encode(torch.rand(1, 3, 32, 32))
    assert counts == [64, 64, 4]


# --- initialisation


def test_initial_weights_are_as_published() -> None:
    torch.manual_seed(0)
    backbone = ViT(64, [level(16), level(8)], width=64, heads=4, encoder_depth=2, decoder_depth=1)
    for module in backbone.modules():
        if isinstance(module, nn.Linear):
            # a normal of std 0.02; the sampling error of its std is std / sqrt(2 n)
            tolerance = 6 * 0.02 / (2 * module.weight.numel()) ** 0.5
            assert abs(module.weight.std().item() - 0.02) < tolerance
            assert module.bias is None or not module.bias.any()
        elif isinstance(module, nn.LayerNorm):
            assert (module.weight == 1).all()
            assert not module.bias.any()
        elif isinstance(module, PositionEmbedding):
            assert abs(module.weight.std().item() - 0.02) < 6 * 0.02 / (2 * module.weight.numel()) ** 0.5


# --- layers by hand


def test_patches_are_ordered_channel_row_column() -> None:
    layer = PatchMerge(3, 3 * 4 * 4, 4, bias=False)
    nn.init.eye_(layer.linear.weight)
    images = torch.rand(2, 3, 8, 12)
    tokens = layer(images)
    assert tokens.shape == (2, 2 * 3, 48)
    for c, row, column, y, x in [(0, 0, 0, 0, 0), (1, 1, 2, 3, 1), (2, 0, 1, 2, 3)]:
        token, entry = row * 3 + column, (c * 4 + y) * 4 + x
        assert tokens[1, token, entry] == images[1, c, row * 4 + y, column * 4 + x]


def test_splitting_undoes_merging() -> None:
    merge, split = PatchMerge(5, 20, 2, bias=False), PatchSplit(20, 5, 2)
    nn.init.eye_(merge.linear.weight)
    nn.init.eye_(split.linear.weight)
    nn.init.zeros_(split.linear.bias)
    maps = torch.rand(2, 5, 4, 6)
    assert torch.equal(split(merge(maps), 2, 3), maps)


def test_tokens_are_row_major() -> None:
    maps = torch.arange(12.0).view(1, 2, 2, 3)
    assert to_tokens(maps).tolist() == [[[i, i + 6.0] for i in range(6)]]
    assert torch.equal(to_map(to_tokens(maps), 2, 3), maps)


def test_the_patch_embedding_has_no_bias_and_the_decoder_ends_in_tanh_and_a_linear_layer() -> None:
    backbone = tiny(32, [level(8)])
    assert backbone.encoder.patchify.linear.bias is None
    linear, activation = backbone.decoder.ffn
    assert isinstance(activation, nn.Tanh)
    assert (linear.in_features, linear.out_features) == (16, 64)
    assert backbone.last_layer.shape == (3 * 8 * 8, 64)


def test_images_of_another_size_are_refused() -> None:
    backbone = tiny(32, [level(8)])
    with pytest.raises(TensorError, match="image size"):
        backbone.encode(torch.rand(1, 3, 64, 64))
    with pytest.raises(TensorError, match="image size"):
        backbone.decode([torch.rand(1, 4, 8, 8)])
