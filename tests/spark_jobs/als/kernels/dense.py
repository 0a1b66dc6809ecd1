"""The slow, obvious twin of the kernels: whole matrices, float64, one linear system a row."""

from __future__ import annotations

import numpy as np
from scipy.optimize import nnls

from spark_jobs.als.kernels import Problem, Rows


def rows_of(R: np.ndarray, is_rated: np.ndarray) -> Rows:
    """The ratings of the matrix R (n_rows, n_columns) where `is_rated`."""
    users, items = np.nonzero(is_rated)
    indptr = np.concatenate(([0], np.cumsum(is_rated.sum(axis=1)))).astype(np.int64)
    return Rows(indptr, items.astype(np.int32), R[users, items].astype(np.float32))


def random_ratings(rng: np.random.Generator, n_rows: int, n_columns: int, implicit: bool) -> tuple[np.ndarray, ...]:
    """R and is_rated: the first row has no rating, the second all, the third one; implicit ratings are also below 0."""
    is_rated = rng.random((n_rows, n_columns)) < 0.1
    is_rated[:3] = False
    is_rated[1] = True
    is_rated[2, n_columns // 2] = True
    return rng.normal(0.5 if implicit else 3, 1.5, (n_rows, n_columns)).astype(np.float32), is_rated


def confidence_and_preference(R: np.ndarray, is_rated: np.ndarray, problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """c and p of sum c (p - x.y)^2 over all pairs, for the explicit problem too."""
    if not problem.implicit:
        return is_rated.astype(float), R.astype(float)
    confidence = problem.unobserved_weight + problem.alpha * np.abs(R) * is_rated
    return confidence, ((R > 0) & is_rated).astype(float)


def penalties(R: np.ndarray, is_rated: np.ndarray, problem: Problem) -> np.ndarray:
    """reg * m of each row."""
    n = (is_rated & ((R > 0) | (not problem.implicit))).sum(axis=1).astype(float)
    if problem.regularization_exponent is None:
        return problem.regularization * n
    unobserved = problem.unobserved_weight * R.shape[1] if problem.implicit else 0
    return problem.regularization * (n + unobserved) ** problem.regularization_exponent


def dense_solution(R: np.ndarray, is_rated: np.ndarray, Y: np.ndarray, problem: Problem) -> np.ndarray:
    """X that minimises the objective for fixed Y; rows without a rating (implicit: above 0) are 0."""
    C, P = confidence_and_preference(R, is_rated, problem)
    Y = Y.astype(float)
    X = np.zeros((len(R), Y.shape[1]))
    for u, penalty in enumerate(penalties(R, is_rated, problem)):
        A = (Y.T * C[u]) @ Y + penalty * np.eye(Y.shape[1])
        b = Y.T @ (C[u] * P[u])
        if not b.any():
            continue
        if problem.nonnegative:
            L = np.linalg.cholesky(A)
            X[u] = nnls(L.T, np.linalg.solve(L, b), maxiter=100 * len(b))[0]
        else:
            X[u] = np.linalg.solve(A, b)
    return X


def dense_objective(R: np.ndarray, is_rated: np.ndarray, X: np.ndarray, Y: np.ndarray, problem: Problem) -> float:
    """The data term and the regularization of X, over all pairs."""
    C, P = confidence_and_preference(R, is_rated, problem)
    X, Y = X.astype(float), Y.astype(float)
    return float(np.sum(C * (P - X @ Y.T) ** 2) + penalties(R, is_rated, problem) @ np.sum(X * X, axis=1))
