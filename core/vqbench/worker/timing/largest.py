"""The largest batch that fits: doubled until it does not."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from vqbench.plan import Setting
from vqbench.run.failures import is_out_of_memory
from vqbench.worker.timing.inputs import image_batch
from vqbench.worker.timing.memory import MemoryMeter, available_bytes
from vqbench.worker.timing.stages import check_setting, in_setting, prepare_stage
from vqbench.worker.tokenizer import Tokenizer

__all__ = ["LargestBatch", "find_largest_batch"]

MOST_IMAGES = 16_384
LONGEST_CALL = 20.0
"""Seconds a call may take for its batch to be doubled once more."""


@dataclass(frozen=True)
class LargestBatch:
    """A power of two, 0 if there is none; and why no larger one was found."""

    size: int
    why: str


def find_largest_batch(
    tokenizer: Tokenizer,
    images: Tensor,
    setting: Setting,
    *,
    most: int = MOST_IMAGES,
    longest: float = LONGEST_CALL,
) -> LargestBatch:
    """Images to codes to images, eager, in batches of 1, 2, 4 …

    A GPU says when its memory is spent. A machine would swap or kill: there the search ends before the next batch, by what
    the last one took, exceeds half of the memory that is available.

    Args:
        tokenizer: on the device of the images.
        images: ``(N, 3, H, W)``, repeated as needed.
        setting: threads, dtype and layout; its batch size is ignored.
        most: images of the largest batch tried.
        longest: seconds of a call beyond which none is tried that takes twice as long.

    Raises:
        UnavailableError: the device has not this dtype or the machine not so many cores.
    """
    device = images.device
    check_setting(setting, device)
    fits, size = 0, 1
    while size <= most:
        memory = MemoryMeter(device)
        began = time.perf_counter()
        base = memory.peak()[0]
        try:
            _run_once(tokenizer, images, replace(setting, batch_size=size, compile=False))
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            return LargestBatch(fits, "out of memory")
        finally:
            if device.type == "cuda":
                torch.cuda.empty_cache()
        fits = size
        if device.type != "cuda" and _is_near_limit(base, memory.peak()[0]):
            return LargestBatch(fits, "twice as many would not fit")
        if time.perf_counter() - began > longest:
            return LargestBatch(fits, "calls get too long")
        size *= 2
    return LargestBatch(fits, f"none larger than {most} is tried")


def _run_once(tokenizer: Tokenizer, images: Tensor, setting: Setting) -> None:
    with in_setting(tokenizer, setting, images.device):
        run = prepare_stage(tokenizer, "end_to_end", image_batch(images, setting.batch_size))
        run.function(run.first)
    if images.device.type == "cuda":
        torch.cuda.synchronize(images.device)


def _is_near_limit(base: int | None, peak: int | None) -> bool:
    """Whether twice the memory that the last batch took is more than half of what is available."""
    available = available_bytes()
    if base is None or peak is None or available is None:
        return True  # nobody knows: do not try
    return 2 * (peak - base) > available / 2
