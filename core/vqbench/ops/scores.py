"""The scores a search goes by: for float32 as an affine function of the codeword, and themselves in float64.

A score may be computed from other numbers than those given, as long as the order of the codewords stays: the origin is
moved among the codewords, so that what cancels costs no digits, and what would leave the range of float32 is scaled.
Neither moves a decision: those that float32 cannot make, :func:`~vqbench.ops.argmin.argmin_affine` makes in float64 on
the numbers given.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from vqbench.ops.affine import ExactScore
from vqbench.ops.argmin import argmin_affine
from vqbench.ops.scalar import argmin_scalar

__all__ = ["Cosine", "Euclidean", "Gaussian", "InnerProduct", "Score", "Search"]

Search: TypeAlias = Callable[..., Tensor]
"""Queries ``(n, d)`` to the indices of their best codewords, int64 ``(n,)``."""

ORDINARY = 2.0**30  # codewords whose largest number lies between this and one over it are not scaled
LONGEST_ROW = 2.0**40  # in codewords: beyond, |c|²/2 is less than a rounding of z·c
LARGEST_PRECISION = math.exp(600)  # beyond, the prior is less than a rounding of any distance; its squares are finite
LONG_ROW = 64  # numbers over which torch finds extremes column by column without loss
PART = 1 << 18  # numbers of a codebook that are in float64 at a time


class Score(ABC):
    """What orders the codewords. All tensors here are float32; codewords and queries ``(n, d)`` go by pairs of rows."""

    @abstractmethod
    def over(self, codebook: Tensor) -> Search:
        """The search in a codebook ``(K, d)``, prepared for many queries."""

    @abstractmethod
    def energy(self, words: Tensor, *queries: Tensor) -> Tensor:
        """What the best codeword makes smallest: float64 ``(n,)``; comparable within a row only."""

    def value(self, words: Tensor, *queries: Tensor) -> Tensor:
        """The score as documented to users: float64 ``(n,)``."""
        return self.energy(words, *queries)

    def _exact(self, codebook: Tensor, *queries: Tensor) -> ExactScore:
        return lambda row, code: self.energy(codebook[code], *(query[row] for query in queries))


class Euclidean(Score):
    """Squared distance ``|z - c|²``."""

    def over(self, codebook: Tensor) -> Search:
        if codebook.shape[1] == 1:
            scalars = _scalars(codebook)

            def bisect(vectors: Tensor) -> Tensor:
                means = vectors[:, 0].double()
                return argmin_scalar(means, torch.ones_like(means), scalars, 0.0)

            return bisect

        # |c|²/2 - z·c: the distance without |z|², which is common to all codewords
        frame = _frame(codebook)
        origin, scale, words = frame.origin, frame.scale, frame.words(codebook)
        half_squares = _by_parts(lambda part: part.square_().sum(dim=1).div_(2), words)
        limit = LONGEST_ROW * max(math.sqrt(2 * float(half_squares.max())), 1.0)
        moved, opposite = bool(origin.any()), -words

        def nearest(vectors: Tensor) -> Tensor:
            rows = vectors
            if moved:
                rows = torch.sub(rows, origin, out=torch.empty_like(rows, memory_format=torch.contiguous_format))
            if scale != 1:
                rows = rows / scale
            if not _largest(rows) <= limit / math.sqrt(rows.shape[1]):  # NaN also comes here
                exact = (vectors.double() - origin.double()) / scale
                lengths = torch.linalg.vector_norm(exact, dim=1, keepdim=True)
                rows = exact.mul_((limit / lengths).clamp_(max=1.0)).float()
            return argmin_affine(rows, opposite, half_squares, self._exact(codebook, vectors))

        return nearest

    def energy(self, words: Tensor, *queries: Tensor) -> Tensor:
        (vectors,) = queries
        return (vectors.double() - words.double()).square_().sum(dim=1)


class InnerProduct(Score):
    """Inner product ``z·c``, the largest."""

    def over(self, codebook: Tensor) -> Search:
        if codebook.shape[1] == 1:
            return _extremes(codebook[:, 0])
        words = _frame(codebook).words(codebook)  # z·origin is common to all codewords
        none = words.new_zeros(len(words))
        return lambda vectors: argmin_affine(_directions(vectors), words, none, self._exact(codebook, vectors))

    def energy(self, words: Tensor, *queries: Tensor) -> Tensor:
        (vectors,) = queries
        return vectors.double().mul_(words.double()).sum(dim=1).neg_()

    def value(self, words: Tensor, *queries: Tensor) -> Tensor:
        return self.energy(words, *queries).neg_()


class Cosine(Score):
    """Cosine of the angle ``z·c / (|z| |c|)``, the largest; 0 where either is zero."""

    def over(self, codebook: Tensor) -> Search:
        if codebook.shape[1] == 1:
            return _extremes(codebook[:, 0].sign())
        words = _by_parts(_unit, codebook)
        # z·origin is common to all codewords: where they lie in nearly one direction, they differ more without it
        frame = _frame(words)
        if not frame.plain:
            words = _by_parts(lambda part: frame.move_(_unit(part)), codebook)
        none = words.new_zeros(len(words))
        return lambda vectors: argmin_affine(_directions(vectors), words, none, self._exact(codebook, vectors))

    def energy(self, words: Tensor, *queries: Tensor) -> Tensor:
        # -cos·|cos|·|z|²: no root is rounded, so that codewords of one direction tie where their numbers are integers
        (vectors,) = queries
        long = words.double()
        product = vectors.double().mul_(long).sum(dim=1)
        squares = long.square_().sum(dim=1)
        return torch.where(squares > 0, -product * product.abs() / squares, squares)

    def value(self, words: Tensor, *queries: Tensor) -> Tensor:
        (vectors,) = queries
        vectors, words = vectors.double(), words.double()
        lengths = torch.linalg.vector_norm(vectors, dim=1) * torch.linalg.vector_norm(words, dim=1)
        product = vectors.mul_(words).sum(dim=1)
        return torch.where(lengths > 0, product / lengths, lengths).clamp_(-1, 1)


class Gaussian(Score):
    """``Σ_i [log N(c_i; μ_i, σ_i²) - beta · log N(c_i; 0, 1)]``, the largest; queries are μ and log σ²."""

    def __init__(self, beta: float) -> None:
        self.beta = beta

    def over(self, codebook: Tensor) -> Search:
        if codebook.shape[1] == 1:
            scalars = _scalars(codebook)

            def bisect(means: Tensor, log_variances: Tensor) -> Tensor:
                precisions = log_variances[:, 0].double().neg_().exp_().clamp_(max=LARGEST_PRECISION)
                return argmin_scalar(means[:, 0].double(), precisions, scalars, self.beta)

            return bisect

        # With c = o + s·w: (1/σ² - beta) s² w² + 2s ((o - μ)/σ² - beta·o) w. Each row is divided by its largest number.
        frame = _frame(codebook)
        origin, scale, words = frame.origin.double(), frame.scale, frame.words(codebook)
        words = torch.cat([_by_parts(Tensor.square_, words), words], dim=1)
        none = words.new_zeros(len(words))

        def nearest(means: Tensor, log_variances: Tensor) -> Tensor:
            precisions, beta = self._precisions(log_variances)
            linear = means.double().sub_(origin).mul_(precisions).add_(beta * origin).mul_(-2 * scale)
            square = precisions.sub_(beta).mul_(scale * scale)
            largest = torch.maximum(_row_sizes(square), _row_sizes(linear))
            rows = torch.cat([square.div_(largest).float(), linear.div_(largest).float()], dim=1)
            return argmin_affine(rows, words, none, self._exact(codebook, means, log_variances))

        return nearest

    def energy(self, words: Tensor, *queries: Tensor) -> Tensor:
        means, log_variances = queries
        precisions, beta = self._precisions(log_variances)
        long = words.double()
        distances = (long - means.double()).square_().mul_(precisions)
        return distances.sub_(long.square_().mul_(beta)).sum(dim=1)

    def value(self, words: Tensor, *queries: Tensor) -> Tensor:
        means, log_variances = (query.double() for query in queries)
        long = words.double()
        constant = (1 - self.beta) * math.log(2 * math.pi)
        distances = (long - means).square_().mul_((-log_variances).exp_())
        return distances.sub_(long.square_().mul_(self.beta)).add_(log_variances).add_(constant).sum(dim=1).div_(-2)

    def _precisions(self, log_variances: Tensor) -> tuple[Tensor, Tensor]:
        """``1/σ²`` ``(n, d)`` and beta ``(n, 1)``, each row of both divided by its largest ``1/σ²`` if that exceeds 1."""
        logs = -log_variances.double()
        excess = logs.amax(dim=1, keepdim=True).clamp_(min=0.0)
        return logs.sub_(excess).exp_(), self.beta * excess.neg_().exp_()


class _Frame(NamedTuple):
    """Coordinates in which codewords are neither far from the origin nor large: ``c = origin + scale · word``.

    Attributes:
        origin: ``(d,)``.
        scale: positive.
    """

    origin: Tensor
    scale: float

    @property
    def plain(self) -> bool:
        """Whether these are the coordinates that the codewords already have."""
        return self.scale == 1 and not bool(self.origin.any())

    def words(self, codebook: Tensor) -> Tensor:
        """The codewords ``(K, d)`` in these coordinates."""
        if self.plain:
            return codebook
        return _by_parts(self.move_, codebook)

    def move_(self, part: Tensor) -> Tensor:
        """Float64 codewords ``(k, d)`` to these coordinates, in place."""
        return part.sub_(self.origin).div_(self.scale)


def _frame(codebook: Tensor) -> _Frame:
    low, high = _column_extremes(codebook)
    origin = low / 2 + high / 2
    if _largest(origin) <= float((high / 2 - low / 2).max()):
        origin = torch.zeros_like(origin)
    extent = max(float((high.double() - origin).max()), float((origin - low.double()).max()))
    scale = 1.0 if 1 / ORDINARY <= extent <= ORDINARY or extent == 0 else extent
    return _Frame(origin, scale)


def _column_extremes(codebook: Tensor) -> tuple[Tensor, Tensor]:
    """The smallest and the largest number of each column, ``(d,)`` each.

    Some rows are laid side by side first: over long rows torch finds extremes five to ten times as fast.
    """
    fold, width = 1, codebook.shape[1]
    while fold * width < LONG_ROW and len(codebook) % (2 * fold) == 0:
        fold *= 2
    rows = codebook.reshape(-1, fold * width)
    return rows.amin(dim=0).view(fold, width).amin(dim=0), rows.amax(dim=0).view(fold, width).amax(dim=0)


def _by_parts(function: Callable[[Tensor], Tensor], codebook: Tensor) -> Tensor:
    """A function of float64 codewords, each by itself, rounded once to float32. It may change what it is given."""
    parts = torch.split(codebook, max(PART // codebook.shape[1], 1))
    return torch.cat([function(part.double()).float() for part in parts])


def _unit(part: Tensor) -> Tensor:
    """Float64 codewords ``(k, d)`` scaled to length 1, except zeros."""
    return torch.nn.functional.normalize(part, dim=1, eps=1e-60)


def _largest(tensor: Tensor) -> float:
    """The largest absolute value; NaN if one is."""
    return float(torch.stack(torch.aminmax(tensor)).abs().max())


def _row_sizes(rows: Tensor) -> Tensor:
    """The largest absolute value of each row ``(n, 1)``, or 1 for a row of zeros."""
    sizes: Tensor = torch.linalg.vector_norm(rows, ord=torch.inf, dim=1, keepdim=True)
    return sizes.masked_fill_(sizes == 0, 1.0)


def _directions(vectors: Tensor) -> Tensor:
    """Minus the vectors, each scaled to a largest number of 1: what is linear in a vector decides alike."""
    return vectors / -_row_sizes(vectors)


def _scalars(codebook: Tensor) -> Tensor:
    """The codewords of ``(K, 1)`` to bisect, float64 ``(K,)``. NaN cannot be sorted; infinity is no codeword either."""
    return codebook[:, 0].double().nan_to_num_(nan=torch.inf, posinf=torch.inf, neginf=-torch.inf)


def _extremes(codebook: Tensor) -> Search:
    """The largest product with a scalar ``(n, 1)`` is with the largest or smallest codeword; with 0 all are equal."""
    largest, smallest = codebook.argmax(), codebook.argmin()
    first = torch.zeros_like(largest)

    def nearest(vectors: Tensor) -> Tensor:
        scalars = vectors[:, 0]
        return torch.where(scalars > 0, largest, torch.where(scalars < 0, smallest, first))

    return nearest
