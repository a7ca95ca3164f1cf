"""The top-down path through the levels of a pyramid, the same for every backbone family."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import Tensor, nn

from vqbench.errors import TensorError

__all__ = ["TopDown"]


class TopDown(nn.Module):
    """Joins levels, coarse to fine, through quantized values only.

    The state is the running sum of the values, upsampled between levels: ``c_r = Up_r(c_{r-1}) + Z_r``. The latent of level
    r is ``G_r(H_r, Up_r(c_{r-1}))`` with the encoder's feature map ``H_r``. A single level has no parameters here.

    Args:
        upsamplers: ``Up_r`` for r = 1 …: ``(B, C_{r-1}, h, w)`` to ``(B, C_r, h·2^k, w·2^k)``, C the code channels.
        fusions: ``G_r`` for r = 1 …: features and upsampled state to ``(B, latent_channels_r, h, w)``.

    Source: Takida et al., HQ-VAE, arXiv 2401.00365 (injected top-down layers).
    """

    def __init__(self, upsamplers: Iterable[nn.Module], fusions: Iterable[nn.Module]) -> None:
        super().__init__()
        self.upsamplers = nn.ModuleList(upsamplers)
        self.fusions = nn.ModuleList(fusions)

    def fuse(self, level: int, features: Tensor, values: Sequence[Tensor]) -> Tensor:
        """The latent of a level from its features and the values of all coarser levels."""
        if not 1 <= level <= len(self.fusions):
            raise TensorError("no such level to fuse", got=level, expected=f"1 to {len(self.fusions)}")
        if len(values) != level:
            raise TensorError(
                f"level {level} is fused with the values of the coarser levels",
                got=f"{len(values)} values",
                expected=level,
            )
        upsampled: Tensor = self.upsamplers[level - 1](self._state(values))
        latents: Tensor = self.fusions[level - 1](features, upsampled)
        return latents

    def merge(self, values: Sequence[Tensor]) -> Tensor:
        """The finest state ``(B, C, h, w)`` of one value per level: what the decoder sees."""
        if len(values) != len(self.fusions) + 1:
            raise TensorError("the decoder takes one value per level", got=len(values), expected=len(self.fusions) + 1)
        return self._state(values)

    def _state(self, values: Sequence[Tensor]) -> Tensor:
        state = values[0]
        for upsample, value in zip(self.upsamplers, values[1:], strict=False):
            state = upsample(state) + value
        return state
