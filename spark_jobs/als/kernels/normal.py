"""The normal equations A x = b of one row, a symmetric matrix of tiles: gathered rows, then their outer products."""

from __future__ import annotations

from typing import Any

from spark_jobs.als.kernels.compiled import kernel
from spark_jobs.als.kernels.gather import gather, whole_tiles
from spark_jobs.als.kernels.lanes import LANES, add_rows
from spark_jobs.als.kernels.tiles import add_outer, transpose_tile


@kernel
def add_products(matrix: Any, base: Any, size: int, rows: Any, at: int, stride: int, n_rows: int) -> None:
    """Upper tiles of matrix (size, size) = base + R'R for n_rows rows of `size` columns, the first at `at`."""
    for i in range(0, size, LANES):
        for j in range(i, size, LANES):
            add_outer(matrix, base, i * size + j, size, rows, at + i, at + j, stride, n_rows)


@kernel
def mirror(matrix: Any, size: int) -> None:
    """Fill the tiles below the diagonal from those above."""
    for i in range(0, size, LANES):
        for j in range(i + LANES, size, LANES):
            transpose_tile(matrix, j * size + i, size, matrix, i * size + j, size)


@kernel
def normal_equations(
    indices: Any,
    values: Any,
    start: int,
    stop: int,
    fixed: Any,
    rank: int,
    stride: int,
    implicit: bool,
    alpha: float,
    unobserved: float,
    base: Any,
    penalty: float,
    at_once: int,
    near: Any,
    targets: Any,
    matrix: Any,
    b: Any,
) -> float:
    """matrix = A (upper tiles), b: of (stride, stride) and (stride,); returns the constant.

    A's diagonal is 1 beyond the rank. `at_once` ratings, a multiple of LANES, are gathered at a time.
    """
    b[:stride] = 0
    constant = 0.0
    for first in range(start, stop, at_once):
        last = min(stop, first + at_once)
        constant += gather(
            indices, values, first, last, fixed, rank, stride, implicit, alpha, unobserved, near, targets
        )
        n_rows = whole_tiles(last - first)
        add_products(matrix, base if first == start else matrix, stride, near, 0, stride, last - first)
        for t in range(0, n_rows, LANES):
            add_rows(b, 0, stride // LANES, near, t * stride, stride, targets, t)
    for j in range(rank):
        matrix[j * stride + j] += penalty
    return constant
