"""Biases of users and items, for explicit feedback: r is about mean + b_u + b_i + x.y.

Koren, Bell and Volinsky, "Matrix Factorization Techniques for Recommender Systems" (IEEE Computer 2009), eq. 4. A bias
is one more unknown of its row, regularized as the factors are, and the last column of its side's factors. For a
half-step the side that is held has 1 in that column, and its biases and the mean leave the ratings. What is handed over
has two more columns, so that a product of rows is the whole prediction.
"""

from __future__ import annotations

import numpy as np

from spark_jobs.als.kernels import Rows
from spark_jobs.als.plan import Factors


def held(fixed: np.ndarray, rows: Rows, mean: float) -> tuple[np.ndarray, Rows]:
    """The side that is held, with 1 for its biases, and the ratings without those and the mean.

    Args:
        fixed: float32 of shape (n, rank + 1), biases last.
    """
    with_ones = fixed.copy()
    with_ones[:, -1] = 1
    left = rows.values - np.float32(mean) - fixed[rows.indices, -1]
    return with_ones, Rows(rows.indptr, rows.indices, left)


def published(factors: Factors, mean: float) -> Factors:
    """Factors whose product is the prediction: users (x, b_u, 1), items (y, 1, b_i + mean); float32 (n, rank + 2)."""
    users = np.concatenate((factors.users, np.ones((len(factors.users), 1), np.float32)), axis=1)
    items = np.concatenate(
        (factors.items[:, :-1], np.ones((len(factors.items), 1), np.float32), factors.items[:, -1:] + np.float32(mean)),
        axis=1,
    )
    return Factors(users, items)


def unpublished_items(published_items: np.ndarray, mean: float) -> np.ndarray:
    """Items (y, b_i) of the published (y, 1, b_i + the mean of then), by the mean of now; float32 (n, rank + 1)."""
    return np.concatenate((published_items[:, :-2], published_items[:, -1:] - np.float32(mean)), axis=1)
