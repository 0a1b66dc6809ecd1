"""Tiles of LANES x LANES numbers, held in registers: what a symmetric matrix is built and factorised with."""

from __future__ import annotations

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils, types

from spark_jobs.als.kernels.lanes import (
    FLOAT,
    INT32,
    LANES,
    VECTOR,
    Registers,
    counted,
    data_of,
    instruction,
    int64,
    load,
    load_number,
    multiply_add,
    splat,
    splat_lane,
    store,
    transposed,
)

#: A pivot below this share of its diagonal element is rounding: float32 has 24 bits.
SMALLEST_PIVOT = 2.0**-20


def _load_tile(builder: Any, base: Any, at: Any, stride: Any) -> list[Any]:
    places = [builder.add(at, builder.mul(stride, int64(row))) for row in range(LANES)]
    return [load(builder, base, place) for place in places]


def _store_tile(builder: Any, tile: list[Any], base: Any, at: Any, stride: Any) -> None:
    for row, vector in enumerate(tile):
        store(builder, vector, base, builder.add(at, builder.mul(stride, int64(row))))


def _plus_outer(
    builder: Any, tile: list[Any], rows: Any, left: Any, right: Any, stride: Any, n_rows: Any, sign: int
) -> list[Any]:
    """tile + sign * sum over rows t of rows[t, left : left + LANES] (outer) rows[t, right : right + LANES]."""
    sums = Registers(builder, LANES)
    for row in range(LANES):
        sums[row] = tile[row]
    with counted(builder, n_rows) as step:
        start = builder.mul(step, stride)
        vector = load(builder, rows, builder.add(start, right))
        if sign < 0:
            vector = builder.fneg(vector)
        first = builder.add(start, left)
        for row in range(LANES):
            number = load_number(builder, rows, builder.add(first, int64(row)))
            sums[row] = multiply_add(builder, splat(builder, number), vector, sums[row])
    return [sums[row] for row in range(LANES)]


@instruction
def add_outer(
    _: Any, out: Any, base: Any, at: Any, out_stride: Any, rows: Any, left: Any, right: Any, stride: Any, n: Any
) -> Any:
    """out = base + sum over n rows of rows[t, left ...] (outer) rows[t, right ...], in the tile at `at` of both."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        matrix = data_of(context, builder, rows, args[4])
        tile = _load_tile(builder, data_of(context, builder, base, args[1]), args[2], args[3])
        tile = _plus_outer(builder, tile, matrix, args[5], args[6], args[7], args[8], 1)
        _store_tile(builder, tile, data_of(context, builder, out, args[0]), args[2], args[3])
        return context.get_dummy_value()

    int_ = types.int64
    return types.void(out, base, int_, int_, rows, int_, int_, int_, int_), generate


@instruction
def transpose_tile(_: Any, out: Any, at: Any, out_stride: Any, source: Any, source_at: Any, stride: Any) -> Any:
    """The tile of `out` at `at` = the tile of `source` at `source_at`, transposed."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        tile = _load_tile(builder, data_of(context, builder, source, args[3]), args[4], args[5])
        _store_tile(builder, transposed(builder, tile), data_of(context, builder, out, args[0]), args[1], args[2])
        return context.get_dummy_value()

    int_ = types.int64
    return types.void(out, int_, int_, source, int_, int_), generate


@instruction
def factor_diagonal(_: Any, matrix: Any, origin: Any, stride: Any, first: Any, inverse: Any, corner: Any) -> Any:
    """Rows `first` ... of the upper factor U of the matrix at `origin`, in their diagonal tile: A = U'U.

    The rows of U above are done. inverse[first + p] becomes 1 / U[p, p], or 0 where the pivot is rounding, so that the
    unknown is left out; `corner` (LANES x LANES, at first * LANES) the tile of U, transposed. Below the diagonal the
    tile of U holds nothing of meaning.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        base = builder.gep(data_of(context, builder, matrix, args[0]), [args[1]])
        _, _, stride, first, _, _ = args
        inverses = data_of(context, builder, inverse, args[4])
        root = cgutils.get_or_insert_function(builder.module, ir.FunctionType(FLOAT, [FLOAT]), "llvm.sqrt.f32")
        one, zero = ir.Constant(FLOAT, 1.0), ir.Constant(FLOAT, 0.0)
        at = builder.add(builder.mul(first, stride), first)
        tile = _load_tile(builder, base, at, stride)
        before = [builder.extract_element(tile[p], ir.Constant(INT32, p)) for p in range(LANES)]
        tile = _plus_outer(builder, tile, base, first, first, stride, first, -1)
        for p in range(LANES):
            pivot = builder.extract_element(tile[p], ir.Constant(INT32, p))
            least = builder.fmul(before[p], ir.Constant(FLOAT, SMALLEST_PIVOT))
            scale = builder.select(
                builder.fcmp_ordered(">", pivot, least), builder.fdiv(one, builder.call(root, [pivot])), zero
            )
            builder.store(scale, builder.gep(inverses, [builder.add(first, int64(p))]))
            tile[p] = builder.fmul(tile[p], splat(builder, scale))
            minus = builder.fneg(tile[p])
            for q in range(p + 1, LANES):
                tile[q] = multiply_add(builder, splat_lane(builder, minus, q), tile[p], tile[q])
        _store_tile(builder, tile, base, at, stride)
        corners = data_of(context, builder, corner, args[5])
        _store_tile(builder, transposed(builder, tile), corners, builder.mul(first, int64(LANES)), int64(LANES))
        return context.get_dummy_value()

    int_ = types.int64
    return types.void(matrix, int_, int_, int_, inverse, corner), generate


@instruction
def factor_beside(_: Any, matrix: Any, origin: Any, stride: Any, first: Any, column: Any, inverse: Any) -> Any:
    """Rows `first` ... of the upper factor U in the tile at `column`, right of the diagonal tile, which is done."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        base = builder.gep(data_of(context, builder, matrix, args[0]), [args[1]])
        _, _, stride, first, column, _ = args
        inverses = data_of(context, builder, inverse, args[5])
        at = builder.add(builder.mul(first, stride), column)
        tile = _load_tile(builder, base, at, stride)
        tile = _plus_outer(builder, tile, base, first, column, stride, first, -1)
        for p in range(LANES):
            scale = load_number(builder, inverses, builder.add(first, int64(p)))
            tile[p] = builder.fmul(tile[p], splat(builder, scale))
            minus = builder.fneg(tile[p])
            diagonal = builder.add(builder.mul(builder.add(first, int64(p)), stride), first)
            for q in range(p + 1, LANES):
                number = load_number(builder, base, builder.add(diagonal, int64(q)))
                tile[q] = multiply_add(builder, splat(builder, number), minus, tile[q])
        _store_tile(builder, tile, base, at, stride)
        return context.get_dummy_value()

    int_ = types.int64
    return types.void(matrix, int_, int_, int_, int_, inverse), generate


def _eliminate(
    builder: Any, vector: Any, base: Any, at: Any, stride: Any, inverses: Any, first: Any, order: Any
) -> Any:
    solved = ir.Constant(VECTOR, ir.Undefined)
    for p in order:
        lane = ir.Constant(INT32, p)
        scale = load_number(builder, inverses, builder.add(first, int64(p)))
        number = builder.fmul(builder.extract_element(vector, lane), scale)
        solved = builder.insert_element(solved, number, lane)
        row = load(builder, base, builder.add(at, builder.mul(stride, int64(p))))
        vector = multiply_add(builder, splat(builder, builder.fneg(number)), row, vector)
    return solved


@instruction
def solve_down(_: Any, z: Any, matrix: Any, at: Any, stride: Any, inverse: Any, first: Any) -> Any:
    """z[first ...] = U' \\ z[first ...] for the diagonal tile U of `matrix` at `at`."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        vectors = data_of(context, builder, z, args[0])
        base = data_of(context, builder, matrix, args[1])
        inverses = data_of(context, builder, inverse, args[4])
        vector = load(builder, vectors, args[5])
        vector = _eliminate(builder, vector, base, args[2], args[3], inverses, args[5], range(LANES))
        store(builder, vector, vectors, args[5])
        return context.get_dummy_value()

    int_ = types.int64
    return types.void(z, matrix, int_, int_, inverse, int_), generate


@instruction
def solve_up(_: Any, z: Any, corner: Any, inverse: Any, first: Any) -> Any:
    """z[first ...] = U \\ z[first ...] for the diagonal tile U, whose transpose is in `corner` at first * LANES."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        vectors = data_of(context, builder, z, args[0])
        base = data_of(context, builder, corner, args[1])
        inverses = data_of(context, builder, inverse, args[2])
        vector = load(builder, vectors, args[3])
        at = builder.mul(args[3], int64(LANES))
        order = reversed(range(LANES))
        vector = _eliminate(builder, vector, base, at, int64(LANES), inverses, args[3], order)
        store(builder, vector, vectors, args[3])
        return context.get_dummy_value()

    return types.void(z, corner, inverse, types.int64), generate
