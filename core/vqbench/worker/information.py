"""What the codes of a stochastic method say about the image, from its posteriors over the whole test set."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from vqbench.errors import PluginError
from vqbench.interfaces import PosteriorSums, Quantizer
from vqbench.plugin_code import calling
from vqbench.worker.returned import form

__all__ = ["SoftInformation"]


class SoftInformation:
    """Accumulates ``I = H(mean π) - mean H(π)`` of each slot: mutual information of position and code, in bits.

    π is the posterior over the codes of a position, the means are over all positions of the test set. 0: every posterior
    is alike, so the slot carries nothing; at most log2 K. Only sums are kept, K numbers per slot.

    Args:
        quantizers: one per level; those that offer no posteriors have no information.
        names: what to call them in messages; by default after their classes.
    """

    def __init__(self, quantizers: Sequence[Quantizer], names: Sequence[str] = ()) -> None:
        self._quantizers = quantizers
        self._names = names or [type(quantizer).__name__ for quantizer in quantizers]
        self._sums: dict[tuple[int, int], PosteriorSums] = {}

    def update(self, level: int, latents: Tensor, codes: Tensor) -> None:
        """Take in a batch's latents and codes of a level.

        Raises:
            PluginError: the quantizer fails, or its sums are not one per slot of K probabilities.
        """
        quantizer, name = self._quantizers[level], self._names[level]
        with calling(name, "posterior_sums"):
            of_slots = quantizer.posterior_sums(latents, codes)
        if of_slots is None:
            return
        if not isinstance(of_slots, list | tuple) or not all(isinstance(sums, PosteriorSums) for sums in of_slots):
            raise PluginError(
                f"{name}: posterior_sums returned something else",
                got=form(of_slots),
                expected="a list of vqbench.PosteriorSums, or None",
            )
        shapes = [tuple(sums.probabilities.shape) for sums in of_slots]
        if shapes != [(size,) for size in quantizer.codebook_sizes]:
            raise PluginError(
                f"{name}: posterior_sums must return K probabilities for each slot",
                got=shapes,
                expected=f"K of {quantizer.codebook_sizes}",
            )
        for slot, new in enumerate(of_slots):
            old = self._sums.get((level, slot))
            self._sums[level, slot] = new if old is None else _added(old, new)

    def bits(self) -> dict[tuple[int, int], float]:
        """By (level, slot), of the slots that have posteriors."""
        return {key: _information(sums) / math.log(2) for key, sums in self._sums.items()}


def _added(a: PosteriorSums, b: PosteriorSums) -> PosteriorSums:
    return PosteriorSums(
        probabilities=a.probabilities + b.probabilities, entropy=a.entropy + b.entropy, count=a.count + b.count
    )


def _information(sums: PosteriorSums) -> float:
    """In nats; rounding may not make it negative."""
    mean = sums.probabilities.double() / sums.count
    entropy = -float(torch.xlogy(mean, mean).sum())
    return max(entropy - float(sums.entropy) / sums.count, 0.0)
