"""BSQ-ViT: a plain vision transformer as encoder and as decoder.

Source: Zhao et al., "Image and Video Tokenization with Binary Spherical Quantization", arXiv 2406.07548 (repository
``zhaoyue-zephyrus/bsq-vit``), on timm's transformer blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn

from vqbench.specs import LevelShape
from vqbench_plugins.backbones.geometry import split_depth
from vqbench_plugins.backbones.pyramid import Pyramid
from vqbench_plugins.backbones.specs import check_vit
from vqbench_plugins.backbones.top_down import TopDown
from vqbench_plugins.backbones.vit_blocks import (
    PatchMerge,
    PatchSplit,
    PositionEmbedding,
    initialise,
    to_map,
    to_tokens,
    transformer,
)

__all__ = ["ViT"]


@dataclass(frozen=True, kw_only=True)
class _Trunk:
    """What all transformer blocks of a network have in common."""

    image_size: int
    width: int
    heads: int
    mlp_ratio: int

    def blocks(self, depth: int) -> nn.Sequential:
        return transformer(self.width, self.heads, self.mlp_ratio, depth)

    def positions(self, level: LevelShape) -> PositionEmbedding:
        return PositionEmbedding(self.image_size // level.stride, self.width)


class ViT(Pyramid):
    """Transformer encoder and decoder; a patch is as large as the stride of the finest level.

    The encoder's blocks are shared out evenly among the levels: after those of one level, patches are merged to the next
    coarser grid. The coarsest level's latent is the encoder's output; finer levels tap the tokens of their own grid.

    Args:
        image_size: height and width of the images in pixels; others are not accepted, as positions are learned.
        levels: stride (powers of two) and channels of each level, coarse to fine.
        width: channels of a token.  heads: attention heads, dividing width.
        encoder_depth, decoder_depth: transformer blocks; the encoder has at least one per level.
        mlp_ratio: hidden width of the MLPs and of the decoder's last feed-forward layer, over ``width``.

    Raises:
        ParameterError: the parameters do not go together (:func:`vqbench_plugins.backbones.specs.check_vit`).
    """

    encoder: _Encoder
    decoder: _Decoder

    def __init__(
        self,
        image_size: int,
        levels: Sequence[LevelShape],
        *,
        width: int = 768,
        heads: int = 12,
        encoder_depth: int = 12,
        decoder_depth: int = 12,
        mlp_ratio: int = 4,
    ) -> None:
        super().__init__(image_size, levels)
        parameters = {
            "width": width,
            "heads": heads,
            "encoder_depth": encoder_depth,
            "decoder_depth": decoder_depth,
            "mlp_ratio": mlp_ratio,
        }
        check_vit(parameters, image_size, levels)
        trunk = _Trunk(image_size=image_size, width=width, heads=heads, mlp_ratio=mlp_ratio)
        self.encoder = _Encoder(trunk, self.levels, encoder_depth)
        self.decoder = _Decoder(trunk, levels[-1], decoder_depth)
        self.top_down = TopDown(
            (_StateUpsampler(trunk, coarse, fine) for coarse, fine in pairwise(levels)),
            (_Fusion(trunk, fine) for fine in levels[1:]),
        )
        initialise(self)

    @property
    def last_layer(self) -> nn.Parameter:
        weight = self.decoder.unpatchify.linear.weight
        assert isinstance(weight, nn.Parameter)
        return weight


class _Encoder(nn.Module):
    """Pixels ``(B, 3, H, W)`` to the coarsest latent, then the taps, coarse to fine ``(B, width, h, w)``."""

    def __init__(self, trunk: _Trunk, levels: Sequence[LevelShape], depth: int) -> None:
        super().__init__()
        fine_to_coarse = levels[::-1]
        self.patchify = PatchMerge(3, trunk.width, levels[-1].stride, bias=False)  # no bias: ln_pre follows
        self.positions = trunk.positions(levels[-1])
        self.ln_pre = nn.LayerNorm(trunk.width)
        self.stages = nn.ModuleList(trunk.blocks(blocks) for blocks in split_depth(depth, len(levels)))
        self.merges = nn.ModuleList(
            PatchMerge(trunk.width, trunk.width, coarse.stride // fine.stride)
            for fine, coarse in pairwise(fine_to_coarse)
        )
        self.ln_post = nn.LayerNorm(trunk.width)
        self.head = nn.Linear(trunk.width, levels[0].latent_channels)
        self.grids = tuple(trunk.image_size // level.stride for level in fine_to_coarse)

    def forward(self, pixels: Tensor) -> list[Tensor]:
        x = self.ln_pre(self.positions(self.patchify(pixels)))
        taps: list[Tensor] = []
        for stage, merge, grid in zip(self.stages, self.merges, self.grids, strict=False):
            taps.append(to_map(stage(x), grid, grid))
            x = merge(taps[-1])
        x = self.head(self.ln_post(self.stages[-1](x)))
        return [to_map(x, self.grids[-1], self.grids[-1]), *reversed(taps)]


class _Decoder(nn.Module):
    """The finest state ``(B, code_channels, h, w)`` to pixels ``(B, 3, H, W)``."""

    def __init__(self, trunk: _Trunk, level: LevelShape, depth: int) -> None:
        super().__init__()
        self.embed = nn.Linear(level.code_channels, trunk.width)
        self.positions = trunk.positions(level)
        self.ln_pre = nn.LayerNorm(trunk.width)
        self.blocks = trunk.blocks(depth)
        self.ln_post = nn.LayerNorm(trunk.width)
        hidden = trunk.width * trunk.mlp_ratio
        self.ffn = nn.Sequential(nn.Linear(trunk.width, hidden), nn.Tanh())
        self.unpatchify = PatchSplit(hidden, 3, level.stride)

    def forward(self, state: Tensor) -> Tensor:
        x = self.blocks(self.ln_pre(self.positions(self.embed(to_tokens(state)))))
        pixels: Tensor = self.unpatchify(self.ffn(self.ln_post(x)), state.shape[2], state.shape[3])
        return pixels


class _StateUpsampler(nn.Module):
    """``Up_r`` of the top-down path: one transformer block on the coarse grid, then each token splits into patches."""

    def __init__(self, trunk: _Trunk, coarse: LevelShape, fine: LevelShape) -> None:
        super().__init__()
        self.embed = nn.Linear(coarse.code_channels, trunk.width)
        self.positions = trunk.positions(coarse)
        self.block = trunk.blocks(1)
        self.norm = nn.LayerNorm(trunk.width)
        self.split = PatchSplit(trunk.width, fine.code_channels, coarse.stride // fine.stride)

    def forward(self, state: Tensor) -> Tensor:
        x = self.block(self.positions(self.embed(to_tokens(state))))
        upsampled: Tensor = self.split(self.norm(x), state.shape[2], state.shape[3])
        return upsampled


class _Fusion(nn.Module):
    """``G_r`` of the top-down path: the upsampled state is added to the tap's tokens; transformer block, norm, linear head.

    Adding keeps the encoder's token stream whole, as in a single level: this learns faster than joining both by a linear layer.
    """

    def __init__(self, trunk: _Trunk, level: LevelShape) -> None:
        super().__init__()
        self.embed = nn.Linear(level.code_channels, trunk.width)
        self.block = trunk.blocks(1)
        self.norm = nn.LayerNorm(trunk.width)
        self.head = nn.Linear(trunk.width, level.latent_channels)

    def forward(self, features: Tensor, state: Tensor) -> Tensor:
        tokens = to_tokens(features) + self.embed(to_tokens(state))
        latents = self.head(self.norm(self.block(tokens)))
        return to_map(latents, features.shape[2], features.shape[3])
