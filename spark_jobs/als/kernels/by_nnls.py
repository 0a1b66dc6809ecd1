"""Exact half-step under x >= 0: each row's normal equations, minimised over nonnegative x.

Block principal pivoting (Kim and Park 2011, "Fast nonnegative matrix factorization: an active-set-like method and
comparisons", algorithm 2) finds which unknowns are 0 in a few factorisations; coordinate descent (Franc, Hlaváč and
Navara 2005, "Sequential coordinate-wise algorithm for the non-negative least squares problem") goes on from there
until no sweep lowers the objective: mostly after one.
"""

from __future__ import annotations

from typing import Any

from spark_jobs.als.kernels.by_cg import SMALLEST_GAIN, add_product, dot
from spark_jobs.als.kernels.cholesky import factorise, solve_factorised
from spark_jobs.als.kernels.compiled import kernel
from spark_jobs.als.kernels.normal import mirror, normal_equations

#: Exchanges of whole sets before coordinate descent takes over.
MAX_EXCHANGES = 12
#: Sweeps of coordinate descent at most.
MAX_SWEEPS = 2000
#: A gradient (in units of b) above minus this share is 0 within rounding.
SMALLEST_GRADIENT = 1e-6


@kernel
def pivot(matrix: Any, b: Any, size: int, free: Any, work: Any, x: Any, gradient: Any, inverse: Any) -> None:
    """Exchange unknowns between free and 0 until the signs of x and of the gradient A x - b are right.

    free: (size,), 1 for what may be above 0, else 0; x, gradient: (size + LANES,); work: (size * size + size * LANES,).
    Leaves x, which may hold negative numbers where the exchanges ran out.
    """
    scale = 0.0
    for j in range(size):
        scale = max(scale, abs(b[j]))
    for _ in range(MAX_EXCHANGES):
        for i in range(size):
            x[i] = b[i] * free[i]
            for j in range(size):
                work[i * size + j] = matrix[i * size + j] * free[i] * free[j]
            work[i * size + i] += 1 - free[i]
        factorise(work, 0, size, size, inverse, work[size * size :])
        solve_factorised(work, 0, size, size, inverse, work[size * size :], x)
        gradient[:size] = 0
        add_product(gradient, matrix, size, x)
        n_wrong = 0
        for j in range(size):
            is_wrong = x[j] < 0 if free[j] > 0 else gradient[j] - b[j] < -SMALLEST_GRADIENT * scale
            if is_wrong:
                free[j] = 1 - free[j]
                n_wrong += 1
        if n_wrong == 0:
            break


@kernel
def descend(matrix: Any, size: int, rank: int, x: Any, r: Any, least: float) -> None:
    """Coordinate descent on x >= 0 from x, with r = b - A x kept, until a sweep gains no more than `least`."""
    for _ in range(MAX_SWEEPS):
        gain = 0.0
        for j in range(rank):
            diagonal = matrix[j * size + j]
            if diagonal <= 0:
                continue
            before = x[j]
            after = max(before + r[j] / diagonal, before * 0)
            change = after - before
            if change != 0:
                gain += abs(change * (2 * r[j] - change * diagonal))
                x[j] = after
                for i in range(size):
                    r[i] -= change * matrix[j * size + i]
        if gain <= least:
            break


@kernel
def solve_by_nnls(
    first: int,
    last: int,
    indptr: Any,
    indices: Any,
    values: Any,
    counts: Any,
    penalties: Any,
    fixed: Any,
    base: Any,
    solution: Any,
    rank: int,
    stride: int,
    implicit: bool,
    alpha: float,
    unobserved: float,
    at_once: int,
    near: Any,
    targets: Any,
    matrix: Any,
    vectors: Any,
) -> float:
    """Solve rows first .. last - 1; returns their part of the objective, float64. `matrix` has room for A twice."""
    x = vectors[0]
    r = vectors[1]
    b = vectors[2]
    free = vectors[3]
    inverse = vectors[4]
    work = matrix[stride * stride :]
    objective = 0.0
    for u in range(first, last):
        if counts[u] == 0:
            solution[u] = 0
            continue
        value = normal_equations(
            indices,
            values,
            indptr[u],
            indptr[u + 1],
            fixed,
            rank,
            stride,
            implicit,
            alpha,
            unobserved,
            base,
            penalties[u],
            at_once,
            near,
            targets,
            matrix,
            b,
        )
        mirror(matrix, stride)
        n_free = 0
        free[:] = 0
        for j in range(rank):
            if solution[u, j] > 0:
                free[j] = 1
                n_free += 1
        if n_free == 0:
            free[:rank] = 1
        pivot(matrix, b, stride, free, work, x, r, inverse)
        # r = b - A x for the x that is allowed
        for j in range(stride):
            if not x[j] > 0:
                x[j] = 0
            free[j] = -x[j]
        r[:stride] = b[:stride]
        add_product(r, matrix, stride, free)
        descend(matrix, stride, rank, x, r, SMALLEST_GAIN * value)
        solution[u] = x[:rank]
        # f(x) = constant - b.x - r.x, for any x
        objective += value - dot(b, x, rank) - dot(r, x, rank)
    return objective
