"""The innermost loops of a search, written in the compiler's own vectors.

Numba has no type for a vector register, nor for bfloat16, and what LLVM makes of the same loops over array elements reads
every codeword from memory for every row. All arrays are float32, where nothing else is said, and contiguous, and hold a
multiple of :data:`VECTOR` numbers where vectors of them are read.

Numba keeps machine code of ``compiled.py``, which has these loops in it, until that file changes: save it too after a change
here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import binding, ir
from numba.core import cgutils, types
from numba.extending import intrinsic

__all__ = ["VECTOR", "first_of", "low_codes", "low_lanes", "lower_4", "lower_8", "lower_by", "number_at", "smallest"]

VECTOR = 16 if binding.get_host_cpu_features().get("avx512f") else 8
"""Numbers of a vector; registers of half the size are used in pairs."""

# products may be fused with sums; NaN is not looked for
_FAST = ("nnan", "nsz", "contract", "reassoc")
_FLOAT, _SHORT, _INT, _MASK = ir.FloatType(), ir.IntType(32), ir.IntType(64), ir.IntType(VECTOR)
_VECTOR = ir.VectorType(_FLOAT, VECTOR)
_BYTES = 4


def _number(value: int) -> Any:
    return ir.Constant(_INT, value)


class _Writer:
    """Writes vector instructions."""

    def __init__(self, builder: Any) -> None:
        self.builder = builder

    def place(self, index: Any, size: Any, offset: Any) -> Any:
        """``index * size + offset``."""
        return self.builder.add(self.builder.mul(index, size), offset)

    def pointer(self, data: Any, offset: Any) -> Any:
        return self.builder.bitcast(self.builder.gep(data, [offset]), _VECTOR.as_pointer())

    def load(self, data: Any, offset: Any) -> Any:
        return self.builder.load(self.pointer(data, offset), align=_BYTES)

    def load_scores(self, kind: Any, data: Any, offset: Any) -> Any:
        """A vector of an array of float32, or of uint16, which are bfloat16."""
        if kind.dtype == types.float32:
            return self.load(data, offset)
        short = ir.VectorType(ir.IntType(16), VECTOR).as_pointer()
        halves = self.builder.load(self.builder.bitcast(self.builder.gep(data, [offset]), short), align=2)
        return self._widened(halves, ir.VectorType(_SHORT, VECTOR), _VECTOR, [16] * VECTOR)

    def load_score(self, kind: Any, data: Any, offset: Any) -> Any:
        """One number of such an array."""
        number = self.builder.load(self.builder.gep(data, [offset]))
        return number if kind.dtype == types.float32 else self._widened(number, _SHORT, _FLOAT, 16)

    def _widened(self, halves: Any, integers: Any, floats: Any, shift: Any) -> Any:
        wide = self.builder.zext(halves, integers)
        return self.builder.bitcast(self.builder.shl(wide, ir.Constant(integers, shift)), floats)

    def store(self, vector: Any, data: Any, offset: Any) -> None:
        self.builder.store(vector, self.pointer(data, offset), align=_BYTES)

    def everywhere(self, number: Any) -> Any:
        """A vector of one number."""
        undefined = ir.Constant(_VECTOR, ir.Undefined)
        one = self.builder.insert_element(undefined, number, ir.Constant(_SHORT, 0))
        return self.builder.shuffle_vector(one, undefined, ir.Constant(ir.VectorType(_SHORT, VECTOR), [0] * VECTOR))

    def add_product(self, a: Any, b: Any, c: Any) -> Any:
        """``a * b + c``."""
        return self.builder.fadd(self.builder.fmul(a, b, flags=_FAST), c, flags=_FAST)

    def smaller(self, a: Any, b: Any) -> Any:
        return self.builder.select(self.builder.fcmp_ordered("<", a, b, flags=_FAST), a, b)

    def not_above(self, vector: Any, limit: Any) -> Any:
        """A bit for each number that is at most the limit, the first lowest; as int64."""
        bits = self.builder.fcmp_ordered("<=", vector, self.everywhere(limit))
        return self.builder.zext(self.builder.bitcast(bits, _MASK), _INT)


def _lowering(width: int) -> Callable[..., None]:
    """``lower(rows, panels, bias, low)``: lower each lane's smallest score of each row.

    ``rows (R, width)``; ``panels (2, width, L)`` and ``bias (2, L)``, two codewords for each of L lanes; ``low (≥ R, L)``, of
    which the first R rows become the smaller of themselves and ``bias + row · codeword``. The codewords stay in registers
    while the rows go by.
    """

    def write(builder: Any, rows: Any, panels: Any, bias: Any, low: Any) -> None:
        to = _Writer(builder)
        count, lanes = cgutils.unpack_tuple(builder, rows.shape)[0], cgutils.unpack_tuple(builder, low.shape)[1]
        with cgutils.for_range_slice(builder, _number(0), lanes, _number(VECTOR), intp=_INT) as (lane, _):
            words = [to.load(panels.data, to.place(lanes, _number(column), lane)) for column in range(2 * width)]
            constants = [to.load(bias.data, to.place(lanes, _number(panel), lane)) for panel in range(2)]
            with cgutils.for_range(builder, count, intp=_INT) as loop:
                scores = list(constants)
                for column in range(width):
                    place = to.place(loop.index, _number(width), _number(column))
                    x = to.everywhere(builder.load(builder.gep(rows.data, [place])))
                    scores = [to.add_product(x, words[p * width + column], scores[p]) for p in range(2)]
                place = to.place(loop.index, lanes, lane)
                to.store(to.smaller(to.smaller(*scores), to.load(low.data, place)), low.data, place)

    @intrinsic  # type: ignore[untyped-decorator]
    def lower(context: Any, rows: Any, panels: Any, bias: Any, low: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            write(builder, *_arrays(context, builder, signature, values))
            return context.get_dummy_value()

        return types.void(rows, panels, bias, low), generate

    return lower  # type: ignore[no-any-return]


def _arrays(context: Any, builder: Any, signature: Any, values: Any) -> list[Any]:
    return [
        context.make_array(kind)(context, builder, value) if isinstance(kind, types.Array) else value
        for kind, value in zip(signature.args, values, strict=True)
    ]


lower_4, lower_8 = _lowering(4), _lowering(8)


@intrinsic  # type: ignore[untyped-decorator]
def lower_by(context: Any, scores: Any, count: Any, low: Any) -> Any:
    """``lower_by(scores, count, low)``: lower each of the L lanes by the scores l, l + L, l + 2L, … of the first ``count``.

    ``scores``: one-dimensional, float32, or uint16, which are bfloat16; ``count``: a multiple of L; ``low (L,)``.
    """

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        scores, count, low = _arrays(context, builder, signature, values)
        to = _Writer(builder)
        [lanes] = cgutils.unpack_tuple(builder, low.shape)
        with cgutils.for_range_slice(builder, _number(0), lanes, _number(VECTOR), intp=_INT) as (lane, _):
            least = cgutils.alloca_once(builder, _VECTOR)
            builder.store(to.load(low.data, lane), least)
            with cgutils.for_range_slice(builder, lane, count, lanes, intp=_INT) as (place, _):
                here = to.load_scores(signature.args[0], scores.data, place)
                builder.store(to.smaller(here, builder.load(least)), least)
            to.store(builder.load(least), low.data, lane)
        return context.get_dummy_value()

    return types.void(scores, types.intp, low), generate


@intrinsic  # type: ignore[untyped-decorator]
def number_at(context: Any, scores: Any, place: Any) -> Any:
    """``number_at(scores, place)``: one of the scores that ``lower_by`` takes, float32."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        scores, place = _arrays(context, builder, signature, values)
        return _Writer(builder).load_score(signature.args[0], scores.data, place)

    return types.float32(scores, types.intp), generate


@intrinsic  # type: ignore[untyped-decorator]
def smallest(context: Any, low: Any) -> Any:
    """``smallest(low)``: of all numbers of a one-dimensional array."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        [low] = _arrays(context, builder, signature, values)
        to = _Writer(builder)
        [count] = cgutils.unpack_tuple(builder, low.shape)
        least = cgutils.alloca_once_value(builder, to.load(low.data, _number(0)))
        with cgutils.for_range_slice(builder, _number(VECTOR), count, _number(VECTOR), intp=_INT) as (first, _):
            builder.store(to.smaller(to.load(low.data, first), builder.load(least)), least)
        vector, half = builder.load(least), VECTOR // 2
        while half:
            order = [(lane + half) % VECTOR for lane in range(VECTOR)]
            other = builder.shuffle_vector(vector, vector, ir.Constant(ir.VectorType(_SHORT, VECTOR), order))
            vector, half = to.smaller(vector, other), half // 2
        return builder.extract_element(vector, ir.Constant(_SHORT, 0))

    return types.float32(low), generate


@intrinsic  # type: ignore[untyped-decorator]
def low_lanes(context: Any, low: Any, first: Any, limit: Any) -> Any:
    """``low_lanes(low, first, limit)``: which of the numbers from ``first`` on are at most the limit, as bits."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        low, first, limit = _arrays(context, builder, signature, values)
        to = _Writer(builder)
        return to.not_above(to.load(low.data, first), limit)

    return types.int64(low, types.intp, types.float32), generate


@intrinsic  # type: ignore[untyped-decorator]
def low_codes(context: Any, row: Any, codes: Any, bias: Any, first: Any, limit: Any) -> Any:
    """``low_codes(row, codes, bias, first, limit)``: which scores from ``first`` on are at most the limit, as bits.

    ``row (W,)``, ``codes (W, B)``, ``bias (B,)``.
    """

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        row, codes, bias, first, limit = _arrays(context, builder, signature, values)
        to = _Writer(builder)
        width, count = cgutils.unpack_tuple(builder, codes.shape)
        scores = cgutils.alloca_once_value(builder, to.load(bias.data, first))
        with cgutils.for_range(builder, width, intp=_INT) as loop:
            x = to.everywhere(builder.load(builder.gep(row.data, [loop.index])))
            words = to.load(codes.data, to.place(loop.index, count, first))
            builder.store(to.add_product(x, words, builder.load(scores)), scores)
        return to.not_above(builder.load(scores), limit)

    return types.int64(row, codes, bias, types.intp, types.float32), generate


@intrinsic  # type: ignore[untyped-decorator]
def first_of(context: Any, bits: Any) -> Any:
    """``first_of(bits)``: the place of the lowest bit, of int64 that is not zero."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.cttz(values[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.int64), generate
