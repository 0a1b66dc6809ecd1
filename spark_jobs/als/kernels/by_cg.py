"""Inexact half-step: a few steps of conjugate gradients from the factors of the half-step before.

Takács, Pilászy and Tikk 2011, "Applications of the conjugate gradient method for implicit feedback collaborative
filtering": A is never formed, A p = base p + m reg p + sum_t y_t (y_t . p).
"""

from __future__ import annotations

from typing import Any

from spark_jobs.als.kernels.compiled import kernel
from spark_jobs.als.kernels.gather import gather, whole_tiles
from spark_jobs.als.kernels.lanes import LANES, add_rows, dot_rows
from spark_jobs.als.kernels.normal import mirror, normal_equations

#: A step that lowers the row's objective by less than this share of its constant is rounding.
SMALLEST_GAIN = 1e-13


@kernel
def add_product(out: Any, matrix: Any, size: int, p: Any) -> None:
    """out += matrix p for a symmetric matrix."""
    for j in range(0, size, LANES):
        add_rows(out, 0, size // LANES, matrix, j * size, size, p, j)


@kernel
def dot(x: Any, y: Any, size: int) -> float:
    total = 0.0
    for j in range(size):
        total += float(x[j]) * float(y[j])
    return total


@kernel
def solve_by_cg(
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
    capacity: int,
    steps: int,
) -> float:
    """Improve rows first .. last - 1 by `steps` steps; returns their part of the objective, float64.

    A row of more ratings than `capacity` has its normal equations formed, so that memory is bounded.
    """
    x = vectors[0]
    r = vectors[1]
    p = vectors[2]
    product = vectors[3]
    b = vectors[4]
    dots = vectors[5]
    n_vectors = stride // LANES
    objective = 0.0
    x[:] = 0
    for u in range(first, last):
        start = indptr[u]
        stop = indptr[u + 1]
        if counts[u] == 0:
            solution[u] = 0
            continue
        x[:rank] = solution[u]
        penalty = penalties[u]
        n = whole_tiles(stop - start)
        is_formed = n > capacity
        if is_formed:
            value = normal_equations(
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
                penalty,
                at_once,
                near,
                targets,
                matrix,
                b,
            )
            least = SMALLEST_GAIN * value
            mirror(matrix, stride)
            # r = b - A x
            for j in range(stride):
                p[j] = -x[j]
            r[:stride] = b[:stride]
            add_product(r, matrix, stride, p)
            value -= dot(b, x, rank)
        else:
            value = 0.0
            r[:stride] = 0
            if implicit:
                add_product(r, base, stride, x)
            for j in range(stride):
                r[j] = -r[j] - penalty * x[j]
            fitted = 0.0
            for done in range(0, n, at_once):
                # the first products while the gathered rows are in the nearest cache
                value += gather(
                    indices,
                    values,
                    start + done,
                    min(stop, start + done + at_once),
                    fixed,
                    rank,
                    stride,
                    implicit,
                    alpha,
                    unobserved,
                    near[done * stride :],
                    targets[done:],
                )
                for t in range(done, min(n, done + at_once), LANES):
                    dot_rows(near, t * stride, stride, n_vectors, x, 0, dots, 0)
                    for lane in range(LANES):
                        fitted += targets[t + lane] * dots[lane]
                        dots[lane] = targets[t + lane] - dots[lane]
                    add_rows(r, 0, n_vectors, near, t * stride, stride, dots, 0)
            least = SMALLEST_GAIN * value
            value -= fitted
        for j in range(rank, stride):
            r[j] = 0
        # f(x) = constant - b.x - r.x, for any x
        value -= dot(r, x, rank)
        size = dot(r, r, rank)
        p[:stride] = r[:stride]
        for _ in range(steps):
            product[:stride] = 0
            if is_formed:
                add_product(product, matrix, stride, p)
            else:
                if implicit:
                    add_product(product, base, stride, p)
                for j in range(stride):
                    product[j] += penalty * p[j]
                for t in range(0, n, LANES):
                    dot_rows(near, t * stride, stride, n_vectors, p, 0, dots, 0)
                    add_rows(product, 0, n_vectors, near, t * stride, stride, dots, 0)
            curvature = dot(p, product, rank)
            if curvature <= 0:
                break
            step = size / curvature
            # a step lowers f by |r|^4 / p'Ap
            value -= step * size
            for j in range(stride):
                x[j] += step * p[j]
                r[j] -= step * product[j]
            before = size
            size = dot(r, r, rank)
            if step * before <= least:
                break
            share = size / before
            for j in range(stride):
                p[j] = r[j] + share * p[j]
        solution[u] = x[:rank]
        objective += value
    return objective
