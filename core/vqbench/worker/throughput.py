"""Encode and decode speed of a tokenizer."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from vqbench.interfaces import Measurement
from vqbench.intervals import median_interval
from vqbench.worker.tokenizer import Tokenizer

__all__ = ["images_per_second", "measure_throughput", "throughput_protocol"]

WARM_UP = 3
REPETITIONS = 20
MAX_SECONDS = 3.0


def throughput_protocol(batch_size: int) -> str:
    """What the numbers mean, in a few words."""
    return f"batch {batch_size}, float32, eager, median of at most {REPETITIONS} repetitions after {WARM_UP} of warm-up"


def measure_throughput(tokenizer: Tokenizer, images: Tensor) -> dict[str, Measurement]:
    """Images per second from images to codes and from codes to images, for one batch ``(B, 3, H, W)``.

    A continuous latent has no codes: its two speeds are null, with that reason.
    """
    tokenizer.eval()
    with torch.inference_mode():
        codes = tokenizer.encode(images)
        if any(c.shape[1] == 0 for c in codes):
            nothing = Measurement(value=None, reason="a continuous latent has no codes to encode to or decode from")
            return {"encode_images_per_second": nothing, "decode_images_per_second": nothing}
        return {
            "encode_images_per_second": images_per_second(lambda: tokenizer.encode(images), images),
            "decode_images_per_second": images_per_second(lambda: tokenizer.decode(codes), images),
        }


def images_per_second(operation: Callable[[], object], images: Tensor) -> Measurement:
    """Median rate of an operation on a batch, with its 95 % interval; ``n`` is the number of timed repetitions.

    After warm-up it is repeated until there are ``REPETITIONS`` or ``MAX_SECONDS`` have passed.
    """
    on_gpu = images.device.type == "cuda"
    rates: list[float] = []
    began = time.perf_counter()
    for repetition in range(WARM_UP + REPETITIONS):
        start = time.perf_counter()
        operation()
        if on_gpu:
            torch.cuda.synchronize(images.device)
        now = time.perf_counter()
        if repetition >= WARM_UP:
            rates.append(len(images) / (now - start))
            if now - began > MAX_SECONDS:
                break
    low, high = median_interval(rates)
    return Measurement(value=statistics.median(rates), low=low, high=high, n=len(rates))
