"""The SD3-style convolutional autoencoder, an hourglass without encoder-to-decoder skips.

Source: Xu et al., "Vector quantization using Gaussian variational autoencoder" (repository
``tongdaxu/VQ-VAE-from-Gaussian-VAE``): the autoencoder of Stable Diffusion 3 with the mid-block attention removed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vqbench.specs import LevelShape
from vqbench_plugins.backbones.geometry import doublings, stage_multipliers
from vqbench_plugins.backbones.pyramid import Pyramid
from vqbench_plugins.backbones.specs import check_unet
from vqbench_plugins.backbones.top_down import TopDown
from vqbench_plugins.backbones.unet_blocks import Attention, Downsample, ResidualBlock, Upsample, normalise

__all__ = ["UNet"]


@dataclass(frozen=True, kw_only=True)
class _Stages:
    """Channels of every resolution, from the stem's down to the coarsest level's, and which of them attend."""

    channels: tuple[int, ...]
    attends: tuple[bool, ...]
    stem_stride: int
    groups: int

    def blocks(self, channels_in: int, stage: int, count: int) -> nn.Sequential:
        """``count`` residual blocks of a stage, each followed by attention where the stage attends."""
        channels = self.channels[stage]
        layers: list[nn.Module] = []
        for i in range(count):
            layers.append(ResidualBlock(channels if i else channels_in, channels, self.groups))
            if self.attends[stage]:
                layers.append(Attention(channels, self.groups))
        return nn.Sequential(*layers)

    def mid(self, stage: int) -> nn.Sequential:
        """The two residual blocks at the waist, without attention."""
        channels = self.channels[stage]
        return nn.Sequential(*(ResidualBlock(channels, channels, self.groups) for _ in range(2)))

    def out(self, stage: int, channels_out: int) -> nn.Sequential:
        """Norm, SiLU, 3×3 conv."""
        channels = self.channels[stage]
        return nn.Sequential(
            normalise(channels, self.groups), nn.SiLU(), nn.Conv2d(channels, channels_out, 3, padding=1)
        )


class UNet(Pyramid):
    """Convolutional encoder and decoder; the strides of the levels decide how often they halve.

    The encoder runs down to the coarsest level, whose latent is its output; finer levels tap the blocks of their own
    resolution. The decoder starts from the finest state of the top-down path.

    Args:
        image_size: height and width of the images in pixels.
        levels: stride (powers of two) and channels of each level, coarse to fine.
        channels: channels at the stem's resolution.
        multipliers: channels of each resolution from the stem's to the finest level's, as multiples of ``channels``; None is
            1, 2, 4, 4, 4 …. Coarser levels repeat the last.
        stem_stride: pixels per side folded into channels (pixel unshuffle) before the first conv and back after the last;
            where the finest level's stride is smaller, that.
        encoder_blocks, decoder_blocks: residual blocks per resolution.
        attention_resolutions: sizes of the feature maps, in their own pixels, with self-attention after each block.
        norm_groups: groups of every GroupNorm; divides the channels of every resolution.

    Raises:
        ParameterError: the parameters do not go together (:func:`vqbench_plugins.backbones.specs.check_unet`).
    """

    encoder: _Encoder
    decoder: _Decoder

    def __init__(
        self,
        image_size: int,
        levels: Sequence[LevelShape],
        *,
        channels: int = 128,
        multipliers: Sequence[int] | None = None,
        stem_stride: int = 1,
        encoder_blocks: int = 2,
        decoder_blocks: int = 3,
        attention_resolutions: Sequence[int] = (),
        norm_groups: int = 32,
    ) -> None:
        super().__init__(image_size, levels)
        parameters = {
            "channels": channels,
            "multipliers": multipliers,
            "stem_stride": stem_stride,
            "encoder_blocks": encoder_blocks,
            "decoder_blocks": decoder_blocks,
            "attention_resolutions": attention_resolutions,
            "norm_groups": norm_groups,
        }
        check_unet(parameters, image_size, levels)
        coarsest, finest = levels[0].stride, levels[-1].stride
        stem_stride = min(stem_stride, finest)
        fine_stages = doublings(finest, stem_stride) + 1
        widths = [channels * m for m in stage_multipliers(multipliers, fine_stages, doublings(coarsest, finest))]
        stages = _Stages(
            channels=tuple(widths),
            attends=tuple(image_size // stem_stride // 2**i in attention_resolutions for i in range(len(widths))),
            stem_stride=stem_stride,
            groups=norm_groups,
        )
        at = [doublings(level.stride, stem_stride) for level in levels]  # stage of each level, coarse to fine
        self.encoder = _Encoder(stages, encoder_blocks, taps=at[1:], latent_channels=levels[0].latent_channels)
        self.decoder = _Decoder(stages, decoder_blocks, last=at[-1], code_channels=levels[-1].code_channels)
        taps = [(level, widths[stage]) for level, stage in zip(levels, at, strict=True)]
        self.top_down = TopDown(
            (_StateUpsampler(coarse, fine, width) for (coarse, _), (fine, width) in pairwise(taps)),
            (_Fusion(fine, width, norm_groups) for fine, width in taps[1:]),
        )

    @property
    def last_layer(self) -> nn.Parameter:
        weight = self.decoder.out[-1].weight
        assert isinstance(weight, nn.Parameter)
        return weight


class _Encoder(nn.Module):
    """Pixels ``(B, 3, H, W)`` to the coarsest latent, then the taps, coarse to fine ``(B, channels, h, w)``."""

    def __init__(self, stages: _Stages, blocks: int, *, taps: Sequence[int], latent_channels: int) -> None:
        super().__init__()
        self.taps = tuple(taps)
        self.stem = nn.Sequential(
            nn.PixelUnshuffle(stages.stem_stride),
            nn.Conv2d(3 * stages.stem_stride**2, stages.channels[0], 3, padding=1),
        )
        inputs = stages.channels[:1] + stages.channels[:-1]
        self.stages = nn.ModuleList(
            nn.Sequential(
                Downsample(channels_in) if stage else nn.Identity(), stages.blocks(channels_in, stage, blocks)
            )
            for stage, channels_in in enumerate(inputs)
        )
        last = len(stages.channels) - 1
        self.mid = stages.mid(last)
        self.out = stages.out(last, latent_channels)

    def forward(self, pixels: Tensor) -> list[Tensor]:
        x = self.stem(pixels)
        outputs: list[Tensor] = []
        for stage in self.stages:
            x = stage(x)
            outputs.append(x)
        return [self.out(self.mid(x)), *(outputs[tap] for tap in self.taps)]


class _Decoder(nn.Module):
    """The finest state ``(B, code_channels, h, w)`` to pixels ``(B, 3, H, W)``."""

    def __init__(self, stages: _Stages, blocks: int, *, last: int, code_channels: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(code_channels, stages.channels[last], 3, padding=1)
        self.mid = stages.mid(last)
        self.stages = nn.ModuleList(
            nn.Sequential(
                stages.blocks(stages.channels[min(stage + 1, last)], stage, blocks),
                Upsample(stages.channels[stage]) if stage else nn.Identity(),
            )
            for stage in range(last, -1, -1)
        )
        self.out = stages.out(0, 3 * stages.stem_stride**2)
        self.unfold = nn.PixelShuffle(stages.stem_stride)

    def forward(self, state: Tensor) -> Tensor:
        x = self.mid(self.stem(state))
        for stage in self.stages:
            x = stage(x)
        pixels: Tensor = self.unfold(self.out(x))
        return pixels


class _StateUpsampler(nn.Module):
    """``Up_r`` of the top-down path: 3×3 conv to ``width``, then for each doubling SiLU and an upsampling conv."""

    def __init__(self, coarse: LevelShape, fine: LevelShape, width: int) -> None:
        super().__init__()
        times = doublings(coarse.stride, fine.stride)
        self.stem = nn.Conv2d(coarse.code_channels, width, 3, padding=1)
        self.upsamplers = nn.ModuleList(
            Upsample(width, width if i < times - 1 else fine.code_channels) for i in range(times)
        )

    def forward(self, state: Tensor) -> Tensor:
        x: Tensor = self.stem(state)
        for upsample in self.upsamplers:
            x = upsample(F.silu(x))
        return x


class _Fusion(nn.Module):
    """``G_r`` of the top-down path: 1×1 projection of the tap, beside the upsampled state; 3×3 conv, ReLU, 1×1 conv."""

    def __init__(self, level: LevelShape, width: int, groups: int) -> None:
        super().__init__()
        self.project = nn.Sequential(normalise(width, groups), nn.SiLU(), nn.Conv2d(width, width, 1))
        self.mix = nn.Sequential(
            nn.Conv2d(width + level.code_channels, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, level.latent_channels, 1),
        )

    def forward(self, features: Tensor, state: Tensor) -> Tensor:
        latents: Tensor = self.mix(torch.cat([self.project(features), state], dim=1))
        return latents
