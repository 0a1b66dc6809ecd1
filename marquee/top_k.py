"""The k best unseen items for a block of users, by their factors."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

#: Scores of a block are held at once: 4 million float32 are 16 MB.
SCORES_OF_A_BLOCK = 4_000_000


def top_k(
    user_factors: np.ndarray, item_factors: np.ndarray, seen_indptr: np.ndarray, seen_indices: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """The k items with the highest score that a user has not seen, best first; equal scores in the order of the items.

    Args:
        user_factors: float32 of shape (n_users, rank).
        item_factors: float32 of shape (n_items, rank).
        seen_indptr: int64 of shape (n_users + 1,): user u has seen `seen_indices[seen_indptr[u]:seen_indptr[u + 1]]`.
        seen_indices: int32, item indexes.
        k: length of a list.

    Returns:
        Item indexes, int32 of shape (n_users, k), and scores, float64 of the same shape; -1 and NaN where a user has
        fewer than k unseen items.
    """
    n_users, n_items = len(user_factors), len(item_factors)
    indexes = np.full((n_users, k), -1, np.int32)
    scores = np.full((n_users, k), np.nan, np.float64)
    for start, stop in blocks(n_users, n_items):
        product = user_factors[start:stop] @ item_factors.T
        for row in range(stop - start):
            seen = seen_indices[seen_indptr[start + row] : seen_indptr[start + row + 1]]
            product[row, seen] = -np.inf
        best = best_of(product, min(k, n_items))
        chosen = np.take_along_axis(product, best, axis=1)
        is_unseen = chosen > -np.inf
        width = best.shape[1]
        indexes[start:stop, :width] = np.where(is_unseen, best, -1)
        scores[start:stop, :width] = np.where(is_unseen, chosen, np.nan)
    return indexes, scores


def blocks(n_users: int, n_items: int) -> Iterator[tuple[int, int]]:
    """Half-open ranges of users whose scores fit a block."""
    size = max(1, SCORES_OF_A_BLOCK // max(1, n_items))
    return ((start, min(start + size, n_users)) for start in range(0, n_users, size))


def best_of(scores: np.ndarray, k: int) -> np.ndarray:
    """Columns of the k highest scores of each row, best first, equals in the order of the columns; int64 (n, k)."""
    n_rows, n_columns = scores.shape
    if k == n_columns:
        return np.argsort(-scores, axis=1, kind="stable")
    # argpartition chooses freely among equals at the border; the k-th highest score tells which those are, and the
    # lowest columns of them are taken.
    border = -np.partition(-scores, k - 1, axis=1)[:, k - 1 : k]
    is_above, is_border = scores > border, scores == border
    n_above = is_above.sum(axis=1, keepdims=True)
    is_taken = is_above | (is_border & (np.cumsum(is_border, axis=1) <= k - n_above))
    columns = np.nonzero(is_taken)[1].reshape(n_rows, k)
    order = np.argsort(-np.take_along_axis(scores, columns, axis=1), axis=1, kind="stable")
    return np.take_along_axis(columns, order, axis=1)
