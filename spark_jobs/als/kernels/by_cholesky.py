"""Exact half-step: each row's normal equations, factorised."""

from __future__ import annotations

from typing import Any

from spark_jobs.als.kernels.cholesky import factorise, solve_factorised
from spark_jobs.als.kernels.compiled import kernel
from spark_jobs.als.kernels.gather import gather, whole_tiles
from spark_jobs.als.kernels.lanes import LANES, add_rows
from spark_jobs.als.kernels.normal import add_products, normal_equations
from spark_jobs.als.kernels.tiles import transpose_tile


@kernel
def solve_by_cholesky(
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
    """Solve rows first .. last - 1; returns their part of the objective, float64."""
    inverse = vectors[0]
    x = vectors[1]
    b = vectors[2]
    corner = matrix[stride * stride :]
    objective = 0.0
    for u in range(first, last):
        start = indptr[u]
        stop = indptr[u + 1]
        if counts[u] == 0:
            solution[u] = 0
            continue
        n = whole_tiles(stop - start)
        if n < stride and not implicit:
            # fewer ratings than unknowns: x = Y'a, (YY' + m reg I) a = r  (push-through identity)
            gather(indices, values, start, stop, fixed, rank, stride, implicit, alpha, unobserved, near, targets)
            across = n * stride
            for t in range(0, n, LANES):
                for j in range(0, stride, LANES):
                    transpose_tile(near, across + j * n + t, n, near, t * stride + j, stride)
            matrix[: n * n] = 0
            for t in range(n):
                matrix[t * n + t] = penalties[u]
                x[t] = targets[t]
            add_products(matrix, matrix, n, near, across, n, stride)
            factorise(matrix, 0, n, n, inverse, corner)
            solve_factorised(matrix, 0, n, n, inverse, corner, x)
            b[:stride] = 0
            for t in range(0, n, LANES):
                add_rows(b, 0, stride // LANES, near, t * stride, stride, x, t)
            solution[u] = b[:rank]
            # |r - Yx|^2 + m reg |x|^2 = m reg a.r
            for t in range(n):
                objective += penalties[u] * x[t] * targets[t]
        else:
            constant = normal_equations(
                indices,
                values,
                start,
                stop,
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
            x[:stride] = b[:stride]
            factorise(matrix, 0, stride, stride, inverse, corner)
            solve_factorised(matrix, 0, stride, stride, inverse, corner, x)
            solution[u] = x[:rank]
            # sum c (p - x.y)^2 + m reg |x|^2 = constant - b.x at the minimum
            for j in range(rank):
                constant -= float(b[j]) * float(x[j])
            objective += constant
    return objective
