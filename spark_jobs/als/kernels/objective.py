"""The objective and held-out errors, rating by rating in float64: what the solvers' own figures are checked against."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spark_jobs.als.kernels.compiled import kernel
from spark_jobs.als.kernels.gramian import counts_of, gram
from spark_jobs.als.kernels.pieces import pieces, work_off
from spark_jobs.als.kernels.problem import Problem, Rows, regularization_of


@kernel
def _data_term(
    first: int,
    last: int,
    indptr: Any,
    indices: Any,
    values: Any,
    solution: Any,
    fixed: Any,
    implicit: bool,
    alpha: float,
    unobserved: float,
) -> float:
    total = 0.0
    for u in range(first, last):
        for t in range(indptr[u], indptr[u + 1]):
            i = indices[t]
            score = 0.0
            for j in range(fixed.shape[1]):
                score += float(solution[u, j]) * float(fixed[i, j])
            rating = float(values[t])
            if implicit:
                preference = 1.0 if rating > 0 else 0.0
                confidence = unobserved + alpha * abs(rating)
                total += confidence * (preference - score) ** 2 - unobserved * score * score
            else:
                total += (rating - score) ** 2
    return total


@kernel
def _squared_errors(first: int, last: int, users: Any, items: Any, ratings: Any, x: Any, y: Any) -> float:
    total = 0.0
    for t in range(first, last):
        score = 0.0
        for j in range(x.shape[1]):
            score += float(x[users[t], j]) * float(y[items[t], j])
        total += (float(ratings[t]) - score) ** 2
    return total


def objective(
    rows: Rows,
    solution: NDArray[np.float32],
    fixed: NDArray[np.float32],
    problem: Problem,
    *,
    gram_of_fixed: NDArray[np.floating] | None = None,
    n_fixed_total: int | None = None,
    threads: int = 1,
) -> float:
    """The rows' part of the objective, as `solve` returns it: their data term and their own regularization, float64.

    gram_of_fixed: (rank, rank), Y'Y of the whole other side, where `fixed` isn't that; n_fixed_total likewise.
    """

    def worker() -> Callable[[int, int], float]:
        return lambda first, last: float(
            _data_term(
                first,
                last,
                rows.indptr,
                rows.indices,
                rows.values,
                solution,
                fixed,
                problem.implicit,
                float(problem.alpha),
                float(problem.unobserved_weight),
            )
        )

    total = sum(work_off(pieces(rows.indptr, 1.0), worker, threads))
    if problem.implicit:
        # w0 sum over all pairs of (x.y)^2 = w0 <X'X, Y'Y>
        of_fixed = gram(fixed, threads) if gram_of_fixed is None else gram_of_fixed
        total += problem.unobserved_weight * float(np.sum(gram(solution, threads) * of_fixed))
    n_other = len(fixed) if n_fixed_total is None else n_fixed_total
    return float(total + regularization_of(solution, counts_of(rows, problem, threads), problem, n_other))


def rmse_sum(
    users: NDArray[np.integer],
    items: NDArray[np.integer],
    ratings: NDArray[np.float32],
    x: NDArray[np.float32],
    y: NDArray[np.float32],
    *,
    threads: int = 1,
) -> tuple[float, int]:
    """Sum of (rating - x.y)^2 over the pairs, float64, and their number: RMSE = sqrt(sum / number) over all tasks.

    users, items: rows of x and y, (n_pairs,); ratings: (n_pairs,); x: (n_users, rank), y: (n_items, rank).
    """

    def worker() -> Callable[[int, int], float]:
        return lambda first, last: float(_squared_errors(first, last, users, items, ratings, x, y))

    ranges = pieces(np.arange(len(ratings) + 1, dtype=np.int64), 0.0)
    return float(sum(work_off(ranges, worker, threads))), len(ratings)
