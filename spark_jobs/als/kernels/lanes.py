"""Vector instructions for the kernels: rows of a matrix in registers, written as LLVM instructions.

A plain loop leaves to the compiler what stays in registers, and it guesses badly where a loop has a sum for each of 16
rows. Here each function says it: LANES numbers a register, LANES registers a tile. All matrices are flat float32
arrays, a row after another, `stride` numbers apart; a place in them is an index into the flat array.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from llvmlite import binding, ir  # type: ignore[import-untyped]
from numba.core import cgutils, types
from numba.extending import intrinsic

#: float32 numbers in a register: AVX-512 has 32 registers of 16, others have at least 16 of 8 (or pairs of 4).
LANES = 16 if binding.get_host_cpu_features().get("avx512f", False) else 8

FLOAT = ir.FloatType()
VECTOR = ir.VectorType(FLOAT, LANES)
INT32, INT64 = ir.IntType(32), ir.IntType(64)
#: Columns that `add_rows` holds in registers at once.
_TOGETHER = 4


def instruction(function: Callable[..., Any]) -> Any:
    """`function`, which types and generates a call, as something that kernels call."""
    return intrinsic(function)


def int64(value: int) -> Any:
    return ir.Constant(INT64, value)


def data_of(context: Any, builder: Any, array_type: Any, array: Any) -> Any:
    """Pointer to the first number of a numba array."""
    return context.make_array(array_type)(context, builder, array).data


def load(builder: Any, base: Any, index: Any) -> Any:
    pointer = builder.bitcast(builder.gep(base, [index]), VECTOR.as_pointer())
    return builder.load(pointer, align=4)


def store(builder: Any, vector: Any, base: Any, index: Any) -> None:
    pointer = builder.bitcast(builder.gep(base, [index]), VECTOR.as_pointer())
    builder.store(vector, pointer, align=4)


def load_number(builder: Any, base: Any, index: Any) -> Any:
    return builder.load(builder.gep(base, [index]))


def _shuffle(builder: Any, a: Any, b: Any, lanes: list[int]) -> Any:
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(INT32, LANES), lanes))


def splat(builder: Any, number: Any) -> Any:
    """A vector that holds `number` in every lane."""
    first = builder.insert_element(ir.Constant(VECTOR, ir.Undefined), number, ir.Constant(INT32, 0))
    return _shuffle(builder, first, first, [0] * LANES)


def splat_lane(builder: Any, vector: Any, lane: int) -> Any:
    return _shuffle(builder, vector, vector, [lane] * LANES)


def multiply_add(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """a * b + c, rounded once where the machine can."""
    function_type = ir.FunctionType(VECTOR, [VECTOR] * 3)
    function = cgutils.get_or_insert_function(builder.module, function_type, f"llvm.fmuladd.v{LANES}f32")
    return builder.call(function, [a, b, c])


def exchange(builder: Any, a: Any, b: Any, width: int) -> tuple[Any, Any]:
    """One step of Eklundh's transposition: `a` and `b` swap the off-diagonal halves of their groups of 2 `width`."""
    first = [LANES + lane - width if lane & width else lane for lane in range(LANES)]
    second = [LANES + lane if lane & width else lane + width for lane in range(LANES)]
    return _shuffle(builder, a, b, first), _shuffle(builder, a, b, second)


def transposed(builder: Any, tile: list[Any]) -> list[Any]:
    """The tile of LANES rows, transposed."""
    rows = list(tile)
    width = LANES // 2
    while width:
        for row in range(LANES):
            if not row & width:
                rows[row], rows[row + width] = exchange(builder, rows[row], rows[row + width], width)
        width //= 2
    return rows


def sums_of_rows(builder: Any, rows: list[Any]) -> Any:
    """A vector whose lane i is the sum of the lanes of rows[i]."""
    width = len(rows) // 2
    while width:
        pairs = [exchange(builder, rows[i], rows[i + width], width) for i in range(width)]
        rows = [builder.fadd(a, b) for a, b in pairs]
        width //= 2
    return rows[0]


class Registers:
    """Vectors that a loop changes: LLVM keeps them in registers, since nothing takes their address."""

    def __init__(self, builder: Any, count: int) -> None:
        self._builder = builder
        self._slots = [cgutils.alloca_once(builder, VECTOR) for _ in range(count)]
        zero = ir.Constant(VECTOR, [0.0] * LANES)
        for slot in self._slots:
            builder.store(zero, slot)

    def __getitem__(self, at: int) -> Any:
        return self._builder.load(self._slots[at])

    def __setitem__(self, at: int, vector: Any) -> None:
        self._builder.store(vector, self._slots[at])


@contextmanager
def counted(builder: Any, count: Any) -> Iterator[Any]:
    """A loop over 0 .. count - 1; yields the index, int64."""
    with cgutils.for_range(builder, count) as loop:
        yield loop.index


@instruction
def prefetch(_: Any, array: Any, index: Any) -> Any:
    """Ask for the cache line of array[index]; the index may lie beyond the array."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        address = builder.gep(data_of(context, builder, array, args[0]), [args[1]])
        pointer = builder.bitcast(address, ir.IntType(8).as_pointer())
        function_type = ir.FunctionType(ir.VoidType(), [pointer.type, INT32, INT32, INT32])
        function = cgutils.get_or_insert_function(builder.module, function_type, "llvm.prefetch.p0")
        builder.call(function, [pointer, *(ir.Constant(INT32, value) for value in (0, 3, 1))])
        return context.get_dummy_value()

    return types.void(array, types.int64), generate


@instruction
def copy_scaled(_: Any, to: Any, to_at: Any, source: Any, source_at: Any, n_vectors: Any, scale: Any) -> Any:
    """to[to_at + j] = scale * source[source_at + j] for the n_vectors * LANES numbers of a row."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        target = data_of(context, builder, to, args[0])
        origin = data_of(context, builder, source, args[2])
        factor = splat(builder, args[5])
        with counted(builder, args[4]) as vector:
            at = builder.mul(vector, int64(LANES))
            scaled = builder.fmul(factor, load(builder, origin, builder.add(args[3], at)))
            store(builder, scaled, target, builder.add(args[1], at))
        return context.get_dummy_value()

    return types.void(to, types.int64, source, types.int64, types.int64, types.float32), generate


@instruction
def dot_rows(_: Any, rows: Any, at: Any, stride: Any, n_vectors: Any, x: Any, x_at: Any, out: Any, out_at: Any) -> Any:
    """out[out_at + r] = rows[r] . x for LANES rows, the first at `at`, over n_vectors * LANES columns."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        matrix = data_of(context, builder, rows, args[0])
        vector = data_of(context, builder, x, args[4])
        sums = Registers(builder, LANES)
        with counted(builder, args[3]) as step:
            column = builder.mul(step, int64(LANES))
            right = load(builder, vector, builder.add(args[5], column))
            place = builder.add(args[1], column)
            for row in range(LANES):
                left = load(builder, matrix, place)
                sums[row] = multiply_add(builder, left, right, sums[row])
                place = builder.add(place, args[2])
        dots = sums_of_rows(builder, [sums[row] for row in range(LANES)])
        store(builder, dots, data_of(context, builder, out, args[6]), args[7])
        return context.get_dummy_value()

    int_ = types.int64
    return types.void(rows, int_, int_, int_, x, int_, out, int_), generate


@instruction
def add_rows(_: Any, out: Any, out_at: Any, n_vectors: Any, rows: Any, at: Any, stride: Any, w: Any, w_at: Any) -> Any:
    """out[out_at + j] += sum over LANES rows of w[w_at + r] * rows[r, j], over n_vectors * LANES columns."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        target = data_of(context, builder, out, args[0])
        matrix = data_of(context, builder, rows, args[3])
        weights = data_of(context, builder, w, args[6])

        def add(first_column: Any, n_columns: int, n_sums: int) -> None:
            columns = [builder.add(first_column, int64(LANES * c)) for c in range(n_columns)]
            sums = [[ir.Constant(VECTOR, [0.0] * LANES)] * n_sums for _ in columns]
            for column, partial in zip(columns, sums, strict=True):
                partial[0] = load(builder, target, builder.add(args[1], column))
            place = args[4]
            for row in range(LANES):
                weight = splat(builder, load_number(builder, weights, builder.add(args[7], int64(row))))
                for column, partial in zip(columns, sums, strict=True):
                    number = load(builder, matrix, builder.add(place, column))
                    partial[row % n_sums] = multiply_add(builder, weight, number, partial[row % n_sums])
                place = builder.add(place, args[5])
            for column, partial in zip(columns, sums, strict=True):
                total = partial[0]
                for other in partial[1:]:
                    total = builder.fadd(total, other)
                store(builder, total, target, builder.add(args[1], column))

        n_groups = builder.udiv(args[2], int64(_TOGETHER))
        with counted(builder, n_groups) as group:
            add(builder.mul(group, int64(_TOGETHER * LANES)), _TOGETHER, 1)
        done = builder.mul(n_groups, int64(_TOGETHER))
        with counted(builder, builder.sub(args[2], done)) as rest:
            add(builder.mul(builder.add(done, rest), int64(LANES)), 1, 4)
        return context.get_dummy_value()

    int_ = types.int64
    return types.void(out, int_, int_, rows, int_, int_, w, int_), generate
