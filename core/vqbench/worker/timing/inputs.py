"""Inputs that differ from call to call, more of them than the device's last cache holds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import torch
from torch import Tensor

__all__ = ["Input", "cache_bytes", "image_batch", "rotating"]

Input: TypeAlias = tuple[Tensor, ...]

CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
UNKNOWN_CACHE = 32 << 20
MOST_BYTES = 256 << 20
MOST_INPUTS = 256


def cache_bytes(device: torch.device) -> int:
    """Size of a device's last cache; 32 MiB where nobody says."""
    if device.type == "cuda":
        return int(getattr(torch.cuda.get_device_properties(device), "L2_cache_size", 0)) or UNKNOWN_CACHE
    sizes = []
    for file in CACHES.glob("index*/size"):
        try:
            text = file.read_text().strip()
        except OSError:
            continue
        if text.endswith("K") and text[:-1].isdecimal():
            sizes.append(int(text[:-1]) << 10)
    return max(sizes, default=UNKNOWN_CACHE)


def image_batch(images: Tensor, size: int) -> Tensor:
    """``(size, 3, H, W)`` from images ``(N, 3, H, W)``, which are repeated as often as it takes."""
    return images[torch.arange(size, device=images.device) % len(images)]


def rotating(first: Sequence[Tensor], cache: int, *, channels_last: bool = False) -> list[Input]:
    """Inputs like the first one that together exceed ``cache`` bytes twice, as far as 256 inputs and 256 MiB go; at least two.

    They are laid out like the first one, too: a ViT hands its quantizer latents that are not contiguous, and that is work.

    Args:
        first: tensors ``(B, C, h, w)``; the others are rolled along h and w.
        cache: bytes of the cache that shall not hold them.
        channels_last: lay them out so instead.
    """
    size = max(sum(tensor.nbytes for tensor in first), 1)
    count = max(2, min(math.ceil(2 * cache / size), MOST_BYTES // size, MOST_INPUTS))
    layout = torch.channels_last if channels_last else torch.preserve_format
    return [tuple(_rolled(tensor, shift, layout) for tensor in first) for shift in range(count)]


def _rolled(tensor: Tensor, shift: int, layout: torch.memory_format) -> Tensor:
    shifts = shift // tensor.shape[-1], shift % tensor.shape[-1]
    return torch.empty_like(tensor, memory_format=layout).copy_(torch.roll(tensor, shifts, (-2, -1)))
