"""How much of its codebooks a tokenizer uses.

Counts are integers over the whole evaluated set, one histogram per level and token slot, so no result depends on the
batch size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from vqbench.errors import TensorError

__all__ = ["DENSE_LIMIT", "CodeUsage", "SlotUsage", "slot_usage"]

DENSE_LIMIT = 2**22
"""Larger codebooks are counted by the codes that occur instead of in an array with one cell per code."""


@dataclass(frozen=True, kw_only=True)
class SlotUsage:
    """Use of one codebook. With N tokens, n_k of them code k, p_k = n_k / N:

    Attributes:
        level, slot: which level (coarse to fine) and token slot; ``slot`` is None where a level's slots are pooled.
        codebook_size: K.
        tokens: N; a number below K cannot show the whole codebook in use.
        active: codes with n_k > 0.
        usage: active / K.
        usage_estimate: the part of the codebook that a larger sample would show, at least: Chao's lower bound
            ``S = active + (N-1)/N · f1 (f1-1) / (2 (f2+1))`` with f1 codes that occur once and f2 twice, at most K, over K.
            (Chao, Scand. J. Statist. 11, 1984; bias-corrected: Chao, in Encyclopedia of Statistical Sciences, 2005.)
            Close where the missing codes are about as likely as each other; what is far rarer no sample tells.
        uniform_expectation: ``1 - (1 - 1/K)^N``, the usage to expect of N uniform codes.
        entropy_bits: H = ``-Σ p log2 p`` over p > 0 (plug-in: biased low where N is not much larger than K).
        miller_madow_bits: ``H + (active - 1) / (2 N ln 2)``, less the first order of that bias; may exceed log2 K.
        perplexity: ``2^H``.
        reason: why the measured values are None: nothing was measured.
    """

    level: int
    slot: int | None
    codebook_size: int
    tokens: int
    active: int | None = None
    usage: float | None = None
    usage_estimate: float | None = None
    uniform_expectation: float | None = None
    entropy_bits: float | None = None
    miller_madow_bits: float | None = None
    perplexity: float | None = None
    reason: str | None = None


def slot_usage(counts: Tensor, codebook_size: int, *, level: int = 0, slot: int | None = 0) -> SlotUsage:
    """The use of a codebook of ``codebook_size`` codes, from their int64 counts ``(m,)``; zeros may be left out."""
    counts = counts[counts > 0]
    tokens, active = int(counts.sum()), len(counts)
    if tokens == 0:
        return SlotUsage(
            level=level, slot=slot, codebook_size=codebook_size, tokens=0, reason="no tokens were evaluated"
        )
    p = counts.double() / tokens
    entropy = max(0.0, float(-(p * p.log2()).sum()))
    # log1p and expm1: 1 - 1/K is 1 to float64 for a large K
    uniform = -math.expm1(tokens * math.log1p(-1 / codebook_size)) if codebook_size > 1 else 1.0
    return SlotUsage(
        level=level,
        slot=slot,
        codebook_size=codebook_size,
        tokens=tokens,
        active=active,
        usage=active / codebook_size,
        usage_estimate=_chao1(counts, codebook_size) / codebook_size,
        uniform_expectation=uniform,
        entropy_bits=entropy,
        miller_madow_bits=entropy + (active - 1) / (2 * tokens * math.log(2)),
        perplexity=2.0**entropy,
    )


def _chao1(counts: Tensor, codebook_size: int) -> float:
    """Chao's lower bound on the number of codes that can occur, from the counts of those that do."""
    tokens, active = int(counts.sum()), len(counts)
    once, twice = int((counts == 1).sum()), int((counts == 2).sum())
    return min(active + (tokens - 1) / tokens * once * (once - 1) / (2 * (twice + 1)), codebook_size)


class CodeUsage:
    """Accumulates the codes of the whole test set.

    Args:
        codebook_sizes_per_level: ``(K_1 … K_T)`` of each level, coarse to fine; empty for a continuous latent.
    """

    def __init__(self, codebook_sizes_per_level: Sequence[tuple[int, ...]]) -> None:
        self.codebook_sizes_per_level = tuple(tuple(sizes) for sizes in codebook_sizes_per_level)
        self._counters = [[_counter(k) for k in sizes] for sizes in self.codebook_sizes_per_level]

    def update(self, level: int, codes: Tensor) -> None:
        """Take in codes ``(B, T, h, w)``, int64, of a level.

        Raises:
            TensorError: the codes have another dtype, number of axes or of slots, or lie outside ``[0, K_t)``; none
            is counted then.
        """
        sizes = self.codebook_sizes_per_level[level]
        if codes.dtype != torch.int64 or codes.ndim != 4 or codes.shape[1] != len(sizes):
            raise TensorError(
                f"codes of level {level} have a wrong dtype or shape",
                got=f"{codes.dtype} {tuple(codes.shape)}",
                expected=f"torch.int64 (B, {len(sizes)}, h, w)",
            )
        slots = [slot.flatten() for slot in codes.detach().cpu().unbind(1)] if codes.numel() else []
        for index, (slot, size) in enumerate(zip(slots, sizes, strict=False)):
            low, high = int(slot.min()), int(slot.max())
            if low < 0 or high >= size:
                raise TensorError(
                    f"codes of level {level}, slot {index} lie outside the codebook",
                    got=f"{low} to {high}",
                    expected=f"0 to {size - 1}",
                )
        for counter, slot in zip(self._counters[level], slots, strict=False):
            counter.add(slot)

    def compute(self) -> list[SlotUsage]:
        """One entry per level and slot."""
        return [
            slot_usage(counter.counts(), size, level=level, slot=slot)
            for level, sizes in enumerate(self.codebook_sizes_per_level)
            for slot, (size, counter) in enumerate(zip(sizes, self._counters[level], strict=True))
        ]

    def compute_pooled(self) -> list[SlotUsage]:
        """One entry per level of several slots with one codebook size: its tokens as if they came from one codebook."""
        return [
            slot_usage(_pooled(self._counters[level], sizes[0]), sizes[0], level=level, slot=None)
            for level, sizes in enumerate(self.codebook_sizes_per_level)
            if len(sizes) > 1 and len(set(sizes)) == 1
        ]


class _Counter(Protocol):
    def add(self, codes: Tensor) -> None: ...

    def histogram(self) -> tuple[Tensor, Tensor]:
        """The codes that occur and their counts."""
        ...

    def counts(self) -> Tensor: ...


class _DenseCounter:
    """An array with one cell per code."""

    def __init__(self, size: int) -> None:
        self._counts = torch.zeros(size, dtype=torch.int64)

    def add(self, codes: Tensor) -> None:
        self._counts += torch.bincount(codes, minlength=len(self._counts))

    def histogram(self) -> tuple[Tensor, Tensor]:
        codes = self._counts.nonzero().squeeze(1)
        return codes, self._counts[codes]

    def counts(self) -> Tensor:
        return self._counts


class _SparseCounter:
    """The codes that occurred, sorted, and their counts; merged when as many new ones are waiting as are known."""

    def __init__(self) -> None:
        self._codes = torch.empty(0, dtype=torch.int64)
        self._counts = torch.empty(0, dtype=torch.int64)
        self._waiting: list[tuple[Tensor, Tensor]] = []
        self._waiting_codes = 0

    def add(self, codes: Tensor) -> None:
        found, counts = torch.unique(codes, return_counts=True)
        self.add_counts(found, counts)

    def add_counts(self, codes: Tensor, counts: Tensor) -> None:
        self._waiting.append((codes, counts))
        self._waiting_codes += len(codes)
        if self._waiting_codes > max(len(self._codes), 2**16):
            self._merge()

    def _merge(self) -> None:
        codes = torch.cat([self._codes, *(codes for codes, _ in self._waiting)])
        counts = torch.cat([self._counts, *(counts for _, counts in self._waiting)])
        self._codes, where = torch.unique(codes, return_inverse=True)
        self._counts = torch.zeros_like(self._codes).index_add_(0, where, counts)
        self._waiting, self._waiting_codes = [], 0

    def histogram(self) -> tuple[Tensor, Tensor]:
        self._merge()
        return self._codes, self._counts

    def counts(self) -> Tensor:
        return self.histogram()[1]


def _counter(size: int) -> _Counter:
    return _DenseCounter(size) if size <= DENSE_LIMIT else _SparseCounter()


def _pooled(counters: Sequence[_Counter], size: int) -> Tensor:
    if size <= DENSE_LIMIT:
        return torch.stack([counter.counts() for counter in counters]).sum(0)
    pool = _SparseCounter()
    for counter in counters:
        pool.add_counts(*counter.histogram())
    return pool.counts()
