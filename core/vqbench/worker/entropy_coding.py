"""Codes as a bit stream: what the test set's codes take when they are really coded, and decoded again.

One range-coded stream holds all levels and slots, one after another, each in the order of images, rows and columns. The
decoder knows the codebook sizes and the number of tokens; everything else it learns from what it has decoded: there is no
header, and no model is sent.

The model of a slot is the predictive distribution of a symmetric Dirichlet prior: with n tokens coded so far, n_k of them
code k, ``p_k = (n_k + α) / (n + K·α)``. All codes not seen yet share one symbol, "new", of their joint probability, and
are then told apart by uniform digits; so a model is as large as what has occurred, whatever K. Models are made anew for
blocks that grow with what is known (an eighth of it), each with the α of :data:`PRIORS` that makes the counts so far most
probable: large where codes occur equally often, small where few of many occur.

Sources: Krichevsky and Trofimov 1981 (α = 1/2); MacKay, Information Theory, ch. 28 (evidence of a Dirichlet); range coder:
constriction (Bamler, arXiv 2201.01741).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import constriction
import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln
from torch import Tensor

from vqbench.errors import VQBenchError

__all__ = ["MOST_CODES", "PRIORS", "CodeLog", "decode_slots", "encode_slots", "verified_bits"]

Codes: TypeAlias = NDArray[np.integer[Any]]

FIRST_BLOCK = 16
GROWTH = 8
"""A block has a GROWTH-th of the tokens before it: about 5 % more to learn than with a new model for every token."""
PRIORS = 2.0 ** np.arange(-12, 13)
MOST_CODES = 2**20
"""Different codes of a slot that can be coded: the coder's probabilities are multiples of 2^-24."""
_DIGIT = 2**16
_MOST_UNIFORM = 2**24 - 1  # of the coder's uniform model


class CodeLog:
    """Keeps the codes of the whole test set, each slot in the smallest integers that hold its codebook.

    Args:
        codebook_sizes_per_level: ``(K_1 … K_T)`` of each level, coarse to fine; empty for a continuous latent.
    """

    def __init__(self, codebook_sizes_per_level: Sequence[tuple[int, ...]]) -> None:
        self.codebook_sizes_per_level = tuple(tuple(sizes) for sizes in codebook_sizes_per_level)
        self._parts: list[list[list[Codes]]] = [[[] for _ in sizes] for sizes in self.codebook_sizes_per_level]

    def update(self, level: int, codes: Tensor) -> None:
        """Take in codes ``(B, T, h, w)``, int64 and in range, of a level."""
        of_level = codes.detach().cpu().numpy()
        for slot, size in enumerate(self.codebook_sizes_per_level[level]):
            self._parts[level][slot].append(of_level[:, slot].ravel().astype(np.min_scalar_type(size - 1)))

    def slots(self) -> Iterator[tuple[int, Codes]]:
        """Codebook size and codes ``(N,)`` of each slot, level by level."""
        for sizes, parts in zip(self.codebook_sizes_per_level, self._parts, strict=True):
            for size, of_slot in zip(sizes, parts, strict=True):
                yield size, np.concatenate(of_slot) if of_slot else np.empty(0, dtype=np.uint8)


def verified_bits(log: CodeLog) -> int:
    """Bits of the stream that holds all codes of the log, decoded again and compared.

    Raises:
        VQBenchError: what was decoded is not what was coded.
    """
    slots = list(log.slots())
    words = encode_slots(slots)
    decoded = decode_slots(words, [(size, len(codes)) for size, codes in slots])
    for index, ((_, codes), again) in enumerate(zip(slots, decoded, strict=True)):
        if not np.array_equal(codes, again):
            raise VQBenchError(
                "The range-coded codes decode to other codes",
                got=f"{np.count_nonzero(codes != again)} tokens of slot {index} differ",
                hint="This is a bug, of vqbench or of constriction: please report it with both versions.",
            )
    return 32 * len(words)


def encode_slots(slots: Sequence[tuple[int, Codes]]) -> NDArray[np.uint32]:
    """The stream, in 32-bit words, of slots given as (K, codes ``(N,)`` in ``[0, K)``)."""
    coder = constriction.stream.queue.RangeEncoder()
    for size, codes in slots:
        model = _SlotModel(size)
        for start, stop in _blocks(len(codes)):
            block = codes[start:stop].astype(np.int64)
            model.encode(coder, block)
            model.learn(block)
    words: NDArray[np.uint32] = coder.get_compressed()
    return words


def decode_slots(words: NDArray[np.uint32], slots: Sequence[tuple[int, int]]) -> Iterator[NDArray[np.int64]]:
    """The codes int64 ``(N,)`` of slots given as (K, N), one after another, from their stream."""
    coder = constriction.stream.queue.RangeDecoder(words)
    for size, tokens in slots:
        model = _SlotModel(size)
        codes = np.empty(tokens, dtype=np.int64)
        for start, stop in _blocks(tokens):
            codes[start:stop] = block = model.decode(coder, stop - start)
            model.learn(block)
        yield codes


def _blocks(tokens: int) -> Iterator[tuple[int, int]]:
    start = 0
    while start < tokens:
        stop = min(start + max(FIRST_BLOCK, start // GROWTH), tokens)
        yield start, stop
        start = stop


class _SlotModel:
    """What is known of a slot: the codes that occurred, sorted, and how often. Coder and decoder go through the same states."""

    def __init__(self, codebook_size: int) -> None:
        self.codebook_size = codebook_size
        self.codes = np.empty(0, dtype=np.int64)
        self.counts = np.empty(0, dtype=np.int64)

    def encode(self, coder: Any, block: NDArray[np.int64]) -> None:
        places, known = self._find(block)
        categories = self._categories()
        if categories is not None:
            coder.encode(np.where(known, places, len(self.codes)).astype(np.int32), categories)
        _encode_uniform(coder, (block - places)[~known], self._unseen)

    def decode(self, coder: Any, tokens: int) -> NDArray[np.int64]:
        categories = self._categories()
        places = np.zeros(tokens, dtype=np.int64)
        if categories is not None:
            places[:] = coder.decode(categories, tokens)
        known = places < len(self.codes)
        block = np.empty(tokens, dtype=np.int64)
        block[known] = self.codes[places[known]]
        # the r-th code not seen is r plus the number of seen ones below it
        ranks = _decode_uniform(coder, tokens - int(known.sum()), self._unseen)
        block[~known] = ranks + np.searchsorted(self.codes - np.arange(len(self.codes)), ranks, side="right")
        return block

    def learn(self, block: NDArray[np.int64]) -> None:
        found, counts = np.unique(block, return_counts=True)
        places, known = self._find(found)
        self.counts[places[known]] += counts[known]
        self.codes = np.insert(self.codes, places[~known], found[~known])
        self.counts = np.insert(self.counts, places[~known], counts[~known])

    @property
    def _unseen(self) -> int:
        return self.codebook_size - len(self.codes)

    def _find(self, codes: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """How many known codes lie below each of these, and whether it is one of them."""
        places = np.searchsorted(self.codes, codes)
        known = np.zeros(len(codes), dtype=np.bool_)
        inside = places < len(self.codes)
        known[inside] = self.codes[places[inside]] == codes[inside]
        return places, known

    def _categories(self) -> Any | None:
        """The model of known codes, in order, and "new" after them; None where there is but one symbol."""
        prior = _likeliest_prior(self.counts, self.codebook_size)
        weights = self.counts + prior
        if self._unseen:
            weights = np.append(weights, self._unseen * prior)
        return constriction.stream.model.Categorical(weights, perfect=False) if len(weights) > 1 else None


def _likeliest_prior(counts: NDArray[np.int64], codebook_size: int) -> float:
    """The α of :data:`PRIORS` under which these counts of the codes that occurred are most probable."""
    values, often = np.unique(counts, return_counts=True)
    prior = PRIORS[:, None]
    evidence = (often * (gammaln(values + prior) - gammaln(prior))).sum(axis=1)
    evidence += gammaln(codebook_size * PRIORS) - gammaln(counts.sum() + codebook_size * PRIORS)
    return float(PRIORS[evidence.argmax()])


def _encode_uniform(coder: Any, numbers: NDArray[np.int64], size: int) -> None:
    """Numbers in ``[0, size)``, low digits first where they are many."""
    while size > _MOST_UNIFORM:
        numbers, digits = np.divmod(numbers, _DIGIT)
        coder.encode(digits.astype(np.int32), constriction.stream.model.Uniform(_DIGIT))
        size = -(-size // _DIGIT)
    if size > 1:
        coder.encode(numbers.astype(np.int32), constriction.stream.model.Uniform(size))


def _decode_uniform(coder: Any, count: int, size: int) -> NDArray[np.int64]:
    numbers, place = np.zeros(count, dtype=np.int64), 1
    while size > _MOST_UNIFORM:
        numbers += place * coder.decode(constriction.stream.model.Uniform(_DIGIT), count).astype(np.int64)
        size, place = -(-size // _DIGIT), place * _DIGIT
    if size > 1:
        numbers += place * coder.decode(constriction.stream.model.Uniform(size), count).astype(np.int64)
    return numbers
