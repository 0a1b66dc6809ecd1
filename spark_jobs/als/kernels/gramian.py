"""Y'Y of a side's factors, and the counts of ratings that regularization weighs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spark_jobs.als.kernels.compiled import kernel
from spark_jobs.als.kernels.gather import whole_tiles
from spark_jobs.als.kernels.normal import add_products
from spark_jobs.als.kernels.pieces import pieces, work_off
from spark_jobs.als.kernels.problem import Problem, Rows

#: Rows whose products are added in float32 before they go into the float64 sum.
_AT_ONCE = 256


@kernel
def _add_gram(first: int, last: int, fixed: Any, rank: int, stride: int, near: Any, matrix: Any, total: Any) -> None:
    for start in range(first, last, _AT_ONCE):
        stop = min(last, start + _AT_ONCE)
        for t in range(start, stop):
            near[(t - start) * stride : (t - start) * stride + rank] = fixed[t]
        matrix[:] = 0
        add_products(matrix, matrix, stride, near, 0, stride, stop - start)
        for i in range(rank):
            for j in range(i, rank):
                total[i, j] += matrix[i * stride + j]


@kernel
def _count_positive(first: int, last: int, indptr: Any, values: Any, counts: Any) -> None:
    for u in range(first, last):
        n = 0
        for t in range(indptr[u], indptr[u + 1]):
            n += values[t] > 0
        counts[u] = n


def gram(fixed: NDArray[np.float32], threads: int = 1) -> NDArray[np.float64]:
    """Y'Y, float64 (rank, rank), of factors Y, float32 (n_rows, rank): float32 products, float64 sums."""
    n_rows, rank = fixed.shape
    stride = int(whole_tiles(rank))

    def worker() -> Callable[[int, int], NDArray[np.float64]]:
        near = np.zeros(_AT_ONCE * stride, np.float32)
        matrix = np.zeros(stride * stride, np.float32)

        def add(first: int, last: int) -> NDArray[np.float64]:
            total = np.zeros((rank, rank))
            _add_gram(first, last, fixed, rank, stride, near, matrix, total)
            return total

        return add

    parts = work_off(pieces(np.arange(n_rows + 1, dtype=np.int64), 0.0), worker, threads)
    upper = np.sum(parts, axis=0) if parts else np.zeros((rank, rank))
    total: NDArray[np.float64] = upper + np.triu(upper, 1).T
    return total


def counts_of(rows: Rows, problem: Problem, threads: int = 1) -> NDArray[np.int64]:
    """n of each row, int64 (n_rows,): its ratings; where implicit those above 0, as Spark ML counts them."""
    if not problem.implicit:
        return np.diff(rows.indptr)
    counts = np.zeros(len(rows), np.int64)

    def worker() -> Callable[[int, int], None]:
        return lambda first, last: _count_positive(first, last, rows.indptr, rows.values, counts)

    work_off(pieces(rows.indptr, 8.0), worker, threads)
    return counts
