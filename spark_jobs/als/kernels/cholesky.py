"""Cholesky's factorisation of small symmetric matrices, and the solution by it, a tile at a time.

The factor is built row of tiles by row of tiles, each tile updated by the rows above it, divided by its diagonal tile
and stored once ("left-looking"; Golub and Van Loan, Matrix Computations, section 4.2).
"""

from __future__ import annotations

from typing import Any

from spark_jobs.als.kernels.compiled import kernel
from spark_jobs.als.kernels.lanes import LANES, add_rows, dot_rows
from spark_jobs.als.kernels.tiles import factor_beside, factor_diagonal, solve_down, solve_up


@kernel
def factorise(matrix: Any, origin: int, stride: int, size: int, inverse: Any, corner: Any) -> None:
    """Replace the upper tiles of the (size, size) matrix at `origin` by its factor U, A = U'U.

    `size` is a multiple of LANES; inverse: (size,), corner: (size * LANES,), both for `solve_factorised`.
    """
    for first in range(0, size, LANES):
        factor_diagonal(matrix, origin, stride, first, inverse, corner)
        for column in range(first + LANES, size, LANES):
            factor_beside(matrix, origin, stride, first, column, inverse)


@kernel
def solve_factorised(matrix: Any, origin: int, stride: int, size: int, inverse: Any, corner: Any, x: Any) -> None:
    """x = U \\ (U' \\ x) for what `factorise` left; x: (size + LANES,), its last LANES numbers are scratch."""
    # U'z = b
    for first in range(0, size, LANES):
        row = origin + first * stride + first
        solve_down(x, matrix, row, stride, inverse, first)
        x[size : size + LANES] = -x[first : first + LANES]
        add_rows(x, first + LANES, (size - first) // LANES - 1, matrix, row + LANES, stride, x, size)
    # U x = z
    for first in range(size - LANES, -1, -LANES):
        right = first + LANES
        n_vectors = (size - right) // LANES
        if n_vectors > 0:
            dot_rows(matrix, origin + first * stride + right, stride, n_vectors, x, right, x, size)
            for lane in range(LANES):
                x[first + lane] -= x[size + lane]
        solve_up(x, corner, inverse, first)
