"""Measures a tokenizer on the whole test set."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vqbench.errors import TensorError
from vqbench.interfaces import EvaluationContext, Images, Measurement, Metric
from vqbench.worker.entropy_coding import CodeLog
from vqbench.worker.information import SoftInformation
from vqbench.worker.loading import load_batch, prefetched
from vqbench.worker.measuring import Measuring
from vqbench.worker.pixels import evaluation_batch
from vqbench.worker.tokenizer import Tokenizer
from vqbench.worker.usage import CodeUsage, SlotUsage

__all__ = ["SAMPLE_IMAGES", "Batches", "Evaluation", "evaluate", "evenly_spread"]

SAMPLE_IMAGES = 4
"""How many test images, evenly spread, are kept to look at."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What was measured: image metrics by name, codes by level and slot, and a sample.

    ``values`` holds, for the metrics that have one per image, those: float64 ``(images,)``.
    ``codes`` are those of the whole test set, ``soft_information`` is in bits by (level, slot); all three of a continuous
    latent are empty.
    ``originals`` and ``reconstructions`` are uint8 ``(SAMPLE_IMAGES, 3, H, W)``.
    """

    metrics: Mapping[str, Measurement]
    values: Mapping[str, Tensor]
    code_usage: Sequence[SlotUsage]
    codes: CodeLog
    soft_information: Mapping[tuple[int, int], float]
    originals: Tensor
    reconstructions: Tensor
    images: int


@dataclass(frozen=True)
class Batches:
    """All images of a split in order, ``(B, 3, H, W)`` on a device, as often as asked; the last batch may be smaller.

    ``name`` is what to call them in messages, ``image_size`` what they should have (None: that of the first in a batch).
    """

    images: Images
    batch_size: int
    device: torch.device
    name: str = "the dataset"
    image_size: int | None = None

    def __iter__(self) -> Iterator[Tensor]:
        starts = range(0, len(self.images), self.batch_size)
        return prefetched(self._batch, starts, ahead=self.device.type == "cuda")

    def _batch(self, start: int) -> Tensor:
        return self.at(range(start, min(start + self.batch_size, len(self.images))))

    def at(self, indices: Sequence[int]) -> Tensor:
        """The images of some indices, ``(B, 3, H, W)`` on the device; raises as :func:`~vqbench.worker.loading.load_batch`."""
        return load_batch(self.images, indices, self.device, name=self.name, image_size=self.image_size)


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
    measuring = Measuring(metrics)
    if context:
        measuring.prepare(context)
    sizes = [quantizer.codebook_sizes for quantizer in tokenizer.quantizers]
    continuous = any(not slots for slots in sizes)
    usage, log, information = (
        CodeUsage(sizes),
        CodeLog(sizes),
        SoftInformation(tokenizer.quantizers, tokenizer.quantizer_names),
    )
    total = len(images.images)
    chosen = set(evenly_spread(total, SAMPLE_IMAGES))
    sample: list[tuple[Tensor, Tensor]] = []
    done = 0
    with torch.inference_mode():
        for originals in images:
            if continuous:
                reconstructions = tokenizer(originals).reconstructions
            else:
                codes, latents = tokenizer.encode_with_latents(originals)
                reconstructions = tokenizer.decode(codes)
                for level, (of_level, behind) in enumerate(zip(codes, latents, strict=True)):
                    usage.update(level, of_level)
                    log.update(level, of_level)
                    information.update(level, behind, of_level)
            if not torch.isfinite(reconstructions).all():
                raise TensorError(
                    "A reconstruction holds NaN or infinity",
                    got=f"test images {done} to {done + len(originals) - 1}",
                    hint="Training diverged: lower recipe.lr, or set recipe.gradient_clip.",
                )
            batch = evaluation_batch(originals, reconstructions.float())
            measuring.update(batch)
            sample += [
                (batch.originals_uint8[i], batch.reconstructions_uint8[i])
                for i in range(len(originals))
                if done + i in chosen
            ]
            done += len(originals)
            report(done, total)
    measurements, values = measuring.compute(total)
    return Evaluation(
        metrics=measurements,
        values=values,
        code_usage=[] if continuous else usage.compute(),
        codes=log,
        soft_information=information.bits(),
        originals=torch.stack([original for original, _ in sample]),
        reconstructions=torch.stack([reconstruction for _, reconstruction in sample]),
        images=total,
    )


def evenly_spread(total: int, count: int) -> list[int]:
    """``count`` of the indices ``0 … total - 1``, or all of them if there are no more, from the first to the last."""
    count = min(count, total)
    return [round(i * (total - 1) / max(count - 1, 1)) for i in range(count)]
