"""Measures a tokenizer on the whole test set."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vqbench.errors import TensorError, UnavailableError
from vqbench.interfaces import EvaluationContext, Images, Measurement, Metric
from vqbench.rate import Bits
from vqbench.worker.loading import load_batch, prefetched
from vqbench.worker.pixels import evaluation_batch
from vqbench.worker.tokenizer import Tokenizer
from vqbench.worker.usage import CodeUsage, SlotUsage

__all__ = ["SAMPLE_IMAGES", "Batches", "Evaluation", "evaluate", "usage_measurements"]

SAMPLE_IMAGES = 4
"""How many test images, evenly spread, are kept to look at."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What was measured: image metrics by name, usage by level and slot, and a sample.

    ``values`` holds, for the metrics that have one per image, those: float64 ``(images,)``.
    ``originals`` and ``reconstructions`` are uint8 ``(SAMPLE_IMAGES, 3, H, W)``.
    """

    metrics: Mapping[str, Measurement]
    values: Mapping[str, Tensor]
    code_usage: Sequence[SlotUsage]
    originals: Tensor
    reconstructions: Tensor
    images: int


@dataclass(frozen=True)
class Batches:
    """All images of a split in order, ``(B, 3, H, W)`` on a device, as often as asked; the last batch may be smaller."""

    images: Images
    batch_size: int
    device: torch.device

    def __iter__(self) -> Iterator[Tensor]:
        starts = range(0, len(self.images), self.batch_size)
        return prefetched(self._batch, starts, ahead=self.device.type == "cuda")

    def _batch(self, start: int) -> Tensor:
        indices = range(start, min(start + self.batch_size, len(self.images)))
        return load_batch(self.images, indices, self.device, name="the dataset")


def evaluate(
    tokenizer: Tokenizer,
    images: Batches,
    metrics: Mapping[str, Metric],
    *,
    context: EvaluationContext | None = None,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Evaluation:
    """Encode and decode every test image in float32 and measure.

    Images are decoded from codes alone: nothing else of the input can reach them. (A continuous latent has no codes; its
    evaluation-mode value is decoded.)

    Args:
        tokenizer: on the device of the images.
        images: the test set.
        metrics: by the name their number gets.
        context: what they are prepared with; None leaves them as they are.
        report: called with (images done, images in all).

    Raises:
        TensorError: a reconstruction holds NaN or infinity.
    """
    tokenizer.eval()
    unavailable = _prepare(metrics, context) if context else {}
    measuring = {name: metric for name, metric in metrics.items() if name not in unavailable}
    sizes = [quantizer.codebook_sizes for quantizer in tokenizer.quantizers]
    usage = CodeUsage(sizes)
    continuous = any(not slots for slots in sizes)
    total = len(images.images)
    chosen = {round(i * (total - 1) / max(SAMPLE_IMAGES - 1, 1)) for i in range(min(SAMPLE_IMAGES, total))}
    sample: list[tuple[Tensor, Tensor]] = []
    done = 0
    with torch.inference_mode():
        for originals in images:
            if continuous:
                reconstructions = tokenizer(originals).reconstructions
            else:
                codes = tokenizer.encode(originals)
                reconstructions = tokenizer.decode(codes)
                for level, level_codes in enumerate(codes):
                    usage.update(level, level_codes)
            if not torch.isfinite(reconstructions).all():
                raise TensorError(
                    "A reconstruction holds NaN or infinity",
                    got=f"test images {done} to {done + len(originals) - 1}",
                    hint="Training diverged: lower recipe.lr, or set recipe.gradient_clip.",
                )
            batch = evaluation_batch(originals, reconstructions.float())
            for metric in measuring.values():
                metric.update(batch)
            sample += [
                (batch.originals_uint8[i], batch.reconstructions_uint8[i])
                for i in range(len(originals))
                if done + i in chosen
            ]
            done += len(originals)
            report(done, total)
    return Evaluation(
        metrics={name: unavailable.get(name) or metric.compute() for name, metric in metrics.items()},
        values={name: values for name, metric in measuring.items() if (values := metric.values()) is not None},
        code_usage=[] if continuous else usage.compute(),
        originals=torch.stack([original for original, _ in sample]),
        reconstructions=torch.stack([reconstruction for _, reconstruction in sample]),
        images=total,
    )


def _prepare(metrics: Mapping[str, Metric], context: EvaluationContext) -> dict[str, Measurement]:
    """Prepare the metrics; null for each that lacks something."""
    unavailable = {}
    for name, metric in metrics.items():
        try:
            metric.prepare(context)
        except UnavailableError as error:
            unavailable[name] = Measurement(value=None, reason=str(error), unavailable=True)
    return unavailable


def usage_measurements(
    usage: Sequence[SlotUsage], positions: Sequence[int], bits: Bits | None
) -> dict[str, Measurement]:
    """One number per question from the statistics of all slots.

    * ``code_usage``: fraction of the codebook in use, mean over slots;
    * ``perplexity``: geometric mean over slots;
    * ``entropy_bits_per_image``: what an ideal order-0 entropy coder fitted on the test set would spend;
    * ``code_efficiency``: that, relative to the nominal bits.

    Args:
        usage: statistics by level and slot; empty for a continuous latent.
        positions: latent positions of each level.
        bits: nominal bits per image.
    """
    names = ("code_usage", "perplexity", "entropy_bits_per_image", "code_efficiency")
    if not usage or bits is None:
        return {name: Measurement(value=None, reason="a continuous latent has no codes") for name in names}
    n = min(slot.tokens for slot in usage)
    if not n:
        return {name: Measurement(value=None, reason="no tokens were evaluated") for name in names}
    entropies = [slot.entropy_bits or 0.0 for slot in usage]  # measured, as there are tokens
    total = sum(positions[slot.level] * entropy for slot, entropy in zip(usage, entropies, strict=True))
    values = (
        sum(slot.usage or 0.0 for slot in usage) / len(usage),
        2 ** (sum(entropies) / len(entropies)),
        total,
        total / float(bits),
    )
    return {name: Measurement(value=value, n=n) for name, value in zip(names, values, strict=True)}
