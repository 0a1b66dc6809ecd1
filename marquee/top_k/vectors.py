"""The two inner loops in vector instructions, given addresses: numba's own views count references, and cost more."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

#: Scores that are compared at once: a bit for each.
CHUNK = 64

_LANES = 16
_INT32, _INT64, _FLOAT, _DOUBLE = ir.IntType(32), ir.IntType(64), ir.FloatType(), ir.DoubleType()


@intrinsic
def hits(typing_context, address, threshold):  # type: ignore[no-untyped-def]
    """Which of the CHUNK float32 from an address on are at least the threshold: a bit for each, the first the lowest.

    Args:
        address: int64.
        threshold: float32.
    """
    signature = types.uint64(types.int64, types.float32)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector, bits = ir.VectorType(_FLOAT, _LANES), ir.IntType(_LANES)
        first = builder.inttoptr(arguments[0], vector.as_pointer())
        threshold = _splat(builder, arguments[1], _LANES)
        found = ir.Constant(_INT64, 0)
        for part in range(CHUNK // _LANES):
            scores = builder.load(builder.gep(first, [ir.Constant(_INT64, part)]), align=4)
            mask = builder.bitcast(builder.fcmp_ordered(">=", scores, threshold), bits)
            found = builder.or_(found, builder.shl(builder.zext(mask, _INT64), ir.Constant(_INT64, part * _LANES)))
        return found

    return signature, generate


@intrinsic
def lowest_bit(typing_context, bits):  # type: ignore[no-untyped-def]
    """Place of the lowest bit that is set in a uint64 other than 0, int64."""
    signature = types.int64(types.uint64)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return signature, generate


@intrinsic
def dot(typing_context, a, b, n):  # type: ignore[no-untyped-def]
    """Product of two vectors of n float32 in float64: eight sums, one for each index modulo 8, added in pairs.

    A product of two float32 is exact in float64, so that the order of the sums is all that the result's bits depend
    on: ((s0 + s4) + (s2 + s6)) + ((s1 + s5) + (s3 + s7)). `marquee.factor_model` has the same in numpy.

    Args:
        a, b: addresses, int64.
        n: int64.
    """
    signature = types.float64(types.int64, types.int64, types.int64)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        floats, doubles = ir.VectorType(_FLOAT, 8), ir.VectorType(_DOUBLE, 8)
        first_a, first_b = (builder.inttoptr(address, _FLOAT.as_pointer()) for address in arguments[:2])
        n = arguments[2]
        sums = cgutils.alloca_once_value(builder, ir.Constant(doubles, [0.0] * 8))

        def add(a: Any, b: Any) -> None:
            product = builder.fmul(builder.fpext(a, doubles), builder.fpext(b, doubles))
            builder.store(builder.fadd(builder.load(sums), product), sums)

        def place(first: Any, at: Any) -> Any:
            return builder.bitcast(builder.gep(first, [at]), floats.as_pointer())

        whole = builder.and_(n, ir.Constant(_INT64, -8))
        with cgutils.for_range_slice(builder, ir.Constant(_INT64, 0), whole, ir.Constant(_INT64, 8), _INT64) as (at, _):
            add(*(builder.load(place(first, at), align=4) for first in (first_a, first_b)))
        left = builder.sub(n, whole)
        with builder.if_then(builder.icmp_signed(">", left, ir.Constant(_INT64, 0))):
            is_there = ir.VectorType(ir.IntType(1), 8)
            load = cgutils.get_or_insert_function(
                builder.module,
                ir.FunctionType(floats, [floats.as_pointer(), _INT32, is_there, floats]),
                "llvm.masked.load.v8f32.p0",
            )
            count = builder.icmp_signed(
                "<", ir.Constant(ir.VectorType(_INT64, 8), list(range(8))), _splat(builder, left, 8)
            )
            nothing = ir.Constant(floats, [0.0] * 8)
            words = [ir.Constant(_INT32, 4), count, nothing]
            add(*(builder.call(load, [place(first, whole), *words]) for first in (first_a, first_b)))
        total = builder.load(sums)
        for width in (4, 2, 1):
            halves = [
                builder.shuffle_vector(
                    total, total, ir.Constant(ir.VectorType(_INT32, width), list(range(start, start + width)))
                )
                for start in (0, width)
            ]
            total = builder.fadd(*halves)
        return builder.extract_element(total, ir.Constant(_INT32, 0))

    return signature, generate


def _splat(builder: Any, value: Any, lanes: int) -> Any:
    """A vector that has the value in each lane."""
    vector = ir.VectorType(value.type, lanes)
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(_INT32, 0))
    return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(_INT32, lanes), [0] * lanes))
