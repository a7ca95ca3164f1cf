"""Which slots the decoder listens to: what becomes of the image where random codes replace a slot's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vqbench.intervals import student_half_width
from vqbench.seeds import derive_seed
from vqbench.worker.evaluate import Batches, evenly_spread
from vqbench.worker.pixels import to_uint8
from vqbench.worker.tokenizer import Tokenizer

__all__ = ["MOST_IMAGES", "MOST_PARTS", "NEGLIGIBLE", "Ablation", "ablate"]

MOST_IMAGES = 64
"""Test images, evenly spread, that are decoded with random codes."""
FEWEST_IMAGES = 8
MOST_PARTS = 64
"""Slots of a level that are looked at one by one; where there are more, neighbours share an ablation."""
FEWEST_DECODES = 512
NEGLIGIBLE = 1e-3
"""An increase of the squared error by this part of it or less is none: 0.004 dB."""


@dataclass(frozen=True, kw_only=True)
class Ablation:
    """Of one slot: increase of the mean squared error (squared grey levels), and whether it is negligible."""

    increase: float
    dead: bool


@torch.inference_mode()
def ablate(tokenizer: Tokenizer, images: Batches) -> dict[tuple[int, int], Ablation]:
    """Decode test images with a slot's codes replaced by uniform random ones, all others as they are, slot by slot.

    The increase is of the error of 8-bit images, as the metric ``mse``. A slot is dead if that increase is at most
    :data:`NEGLIGIBLE` of the error, or if its Student 95 % interval over the images reaches down to 0: the decoder, then,
    makes nothing of what it is told. Random codes are the same in every run.

    At most :data:`MOST_IMAGES` images are decoded for each slot, and fewer where there are many slots: all in all no more
    than the test set has, or :data:`FEWEST_DECODES`, as long as there are :data:`FEWEST_IMAGES` for each. Of more than
    :data:`MOST_PARTS` slots of a level, neighbours are replaced together and share their result.

    Returns:
        By (level, slot); empty for a continuous latent.
    """
    parts = [_parts(len(quantizer.codebook_sizes)) for quantizer in tokenizer.quantizers]
    if not all(parts):
        return {}
    total = len(images.images)
    affordable = max(total, FEWEST_DECODES) // sum(map(len, parts))
    chosen = evenly_spread(total, min(max(affordable, FEWEST_IMAGES), MOST_IMAGES))
    originals = images.at(chosen)
    batches = [tokenizer.encode(part) for part in torch.split(originals, images.batch_size)]
    codes = [torch.cat(of_level) for of_level in zip(*batches, strict=True)]
    errors = _errors(tokenizer, originals, codes, images.batch_size)
    found: dict[tuple[int, int], Ablation] = {}
    for level, of_level in enumerate(parts):
        random = _random_codes(codes[level], tokenizer.quantizers[level].codebook_sizes, level)
        for part in of_level:
            replaced = codes[level].clone()
            replaced[:, part] = random[:, part]
            changed = [*codes[:level], replaced, *codes[level + 1 :]]
            increase = _errors(tokenizer, originals, changed, images.batch_size) - errors
            ablation = Ablation(increase=increase.mean().item(), dead=_negligible(increase, errors.mean().item()))
            found |= {(level, slot): ablation for slot in part}
    return found


def _parts(slots: int) -> list[list[int]]:
    return [part.tolist() for part in torch.arange(slots).chunk(MOST_PARTS)] if slots else []


def _random_codes(codes: Tensor, sizes: Sequence[int], level: int) -> Tensor:
    slots = []
    for slot, size in enumerate(sizes):
        generator = torch.Generator().manual_seed(derive_seed(0, "ablation", str(level), str(slot)))
        slots.append(torch.randint(size, codes[:, slot].shape, generator=generator))
    return torch.stack(slots, dim=1).to(codes)


def _errors(tokenizer: Tokenizer, originals: Tensor, codes: Sequence[Tensor], batch_size: int) -> Tensor:
    """Mean squared error of each image decoded from codes, in squared grey levels, float64 ``(N,)``."""
    errors = []
    for start in range(0, len(originals), batch_size):
        part = slice(start, start + batch_size)
        decoded = to_uint8(tokenizer.decode([of_level[part] for of_level in codes]))
        difference = decoded.float() - to_uint8(originals[part]).to(decoded.device).float()
        errors.append(difference.square().flatten(1).mean(dim=1, dtype=torch.float64).cpu())
    return torch.cat(errors)


def _negligible(increase: Tensor, error: float) -> bool:
    mean = increase.mean().item()
    if mean <= NEGLIGIBLE * error:
        return True
    return len(increase) > 1 and mean <= student_half_width(increase.std().item(), len(increase))
