"""Half-step by blocks of unknowns, each block solved exactly: less arithmetic than all at once for large ranks.

Rendle et al. 2021, "iALS++: Speeding up Matrix Factorization with Subspace Optimization", algorithm 2: a Newton step in
each block in turn, with the predictions of the row's ratings kept up to date.
"""

from __future__ import annotations

from typing import Any

from spark_jobs.als.kernels.by_cg import add_product, dot
from spark_jobs.als.kernels.cholesky import factorise, solve_factorised
from spark_jobs.als.kernels.compiled import kernel
from spark_jobs.als.kernels.gather import gather, whole_tiles
from spark_jobs.als.kernels.lanes import LANES, add_rows, dot_rows
from spark_jobs.als.kernels.normal import add_products, mirror, normal_equations


@kernel
def solve_by_subspace(
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
    block: int,
) -> float:
    """One pass over the blocks for rows first .. last - 1; returns their part of the objective, float64.

    A row of more ratings than `capacity` has its normal equations formed, so that memory is bounded, and the same pass
    made over them. `block`, a
    multiple of LANES, is the number of unknowns solved at once. `matrix` has room for A, a block of it and its corners.
    """
    x = vectors[0]
    r = vectors[1]
    product = vectors[2]
    b = vectors[3]
    dots = vectors[4]
    step = vectors[5]
    inverse = vectors[6]
    at_block = stride * stride
    corner = matrix[at_block + block * block :]
    small = matrix[at_block : at_block + block * block]
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
            mirror(matrix, stride)
            # r = b - A x
            for j in range(stride):
                step[j] = -x[j]
            r[:stride] = b[:stride]
            add_product(r, matrix, stride, step)
            value -= dot(b, x, rank) + dot(r, x, rank)
        else:
            value = gather(
                indices, values, start, stop, fixed, rank, stride, implicit, alpha, unobserved, near, targets
            )
            # targets become the residuals t - y.x; f(x) = constant - sum y.x (t + residual) + x'(base + m reg I) x
            for t in range(0, n, LANES):
                dot_rows(near, t * stride, stride, n_vectors, x, 0, dots, 0)
                for lane in range(LANES):
                    target = targets[t + lane]
                    targets[t + lane] = target - dots[lane]
                    value -= float(dots[lane]) * (float(target) + float(targets[t + lane]))
            product[:stride] = 0
            if implicit:
                add_product(product, base, stride, x)
            value += dot(product, x, rank) + penalty * dot(x, x, rank)
        for j in range(0, stride, block):
            size = min(block, stride - j)
            if is_formed:
                step[:size] = r[j : j + size]
                for row in range(size):
                    for column in range(size):
                        small[row * size + column] = matrix[(j + row) * stride + j + column]
            else:
                for row in range(size):
                    step[row] = -product[j + row] - penalty * x[j + row]
                    for column in range(size):
                        small[row * size + column] = base[(j + row) * stride + j + column]
                    small[row * size + row] += penalty
                for t in range(0, n, LANES):
                    add_rows(step, 0, size // LANES, near, t * stride + j, stride, targets, t)
                add_products(small, small, size, near, j, stride, n)
            b[:size] = step[:size]
            factorise(small, 0, size, size, inverse, corner)
            solve_factorised(small, 0, size, size, inverse, corner, step)
            for row in range(size):
                value -= float(step[row]) * float(b[row])
                x[j + row] += step[row]
            if is_formed:
                for row in range(size):
                    step[row] = -step[row]
                for row in range(0, size, LANES):
                    add_rows(r, 0, n_vectors, matrix, (j + row) * stride, stride, step, row)
            else:
                if implicit:
                    for row in range(0, size, LANES):
                        add_rows(product, 0, n_vectors, base, (j + row) * stride, stride, step, row)
                for t in range(0, n, LANES):
                    dot_rows(near, t * stride + j, stride, size // LANES, step, 0, dots, 0)
                    for lane in range(LANES):
                        targets[t + lane] -= dots[lane]
        solution[u] = x[:rank]
        objective += value
    return objective
