"""What every ranking metric starts from: which places of the lists are hits, checked before anything is computed.

A metric takes `is_hit` (bool, one row a user, one column a place of the list, best first) and `n_relevant` (how many
items are relevant for that user, in the list or not). Relevance is binary. A list that is shorter than `k` is filled
with False: an empty place is no hit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Hits = NDArray[np.bool_]
Counts = NDArray[np.int64]
Values = NDArray[np.float64]

NOBODY = -1
"""In place of an item index: nothing is recommended here."""


def top(is_hit: Hits, n_relevant: Counts, k: int) -> Hits:
    """The first k places of each list.

    Args:
        is_hit: bool (n_users, at least k).
        n_relevant: integers (n_users,).
        k: length of the lists that are judged, at least 1.

    Returns:
        bool (n_users, k).

    Raises:
        ValueError: shapes, types or k do not fit, or a list holds more hits than there are relevant items (an item
            is in it twice, or `n_relevant` counts something else).
    """
    if is_hit.dtype != np.bool_ or is_hit.ndim != 2:
        raise ValueError(f"is_hit must be bool (n_users, k), not {is_hit.dtype} {is_hit.shape}.")
    if n_relevant.shape != is_hit.shape[:1] or not np.issubdtype(n_relevant.dtype, np.integer):
        raise ValueError(
            f"n_relevant must be integers ({is_hit.shape[0]},), not {n_relevant.dtype} {n_relevant.shape}."
        )
    if not 1 <= k <= is_hit.shape[1]:
        raise ValueError(f"k is {k}, but the lists have {is_hit.shape[1]} places: fill shorter lists with False.")
    is_too_full = is_hit.sum(axis=1) > n_relevant
    if is_too_full.any():
        row = int(np.argmax(is_too_full))
        raise ValueError(
            f"Row {row} holds {int(is_hit[row].sum())} hits, but only {int(n_relevant[row])} items are relevant: "
            "an item is in the list twice, or n_relevant is wrong."
        )
    return is_hit[:, :k]


def per_user(values: Values, n_relevant: Counts) -> Values:
    """The values, NaN where nothing is relevant: such a user says nothing about the model, and 0 would blame it."""
    return np.where(n_relevant > 0, values, np.nan)


def mean_of_places(of_item: Values, recommended: NDArray[np.integer], k: int) -> Values:
    """The mean of the items' values over the first k places that are filled.

    Args:
        of_item: float64 (n_items,).
        recommended: item indexes (n_users, at least k), -1 for an empty place.

    Returns:
        float64 (n_users,); NaN where the list is empty.

    Raises:
        ValueError: k does not fit.
    """
    if not 1 <= k <= recommended.shape[1]:
        raise ValueError(f"k is {k}, but the lists have {recommended.shape[1]} places.")
    first = recommended[:, :k]
    is_filled = first > NOBODY
    total = np.where(is_filled, of_item[first], 0.0).sum(axis=1)
    n = is_filled.sum(axis=1)
    return np.asarray(np.divide(total, n, out=np.full(len(first), np.nan), where=n > 0))


def is_among(lists: NDArray[np.integer], others: NDArray[np.integer]) -> Hits:
    """bool, of the shape of `lists`: whether the item is in the same row of `others`; an empty place is not.

    Args:
        lists, others: item indexes (n_users, any width), -1 for an empty place.
    """
    found = np.zeros(lists.shape, np.bool_)
    for place in range(others.shape[1]):
        found |= lists == others[:, place, None]
    return found & (lists > NOBODY)


def mark(recommended: NDArray[np.integer], indptr: Counts, indices: NDArray[np.integer]) -> tuple[Hits, Counts]:
    """Compare lists with the relevant items of the same users.

    Args:
        recommended: item indices (n_users, k), best first, -1 for an empty place.
        indptr: (n_users + 1,), CSR: the relevant items of row u are `indices[indptr[u]:indptr[u + 1]]`.
        indices: item indices, each at most once a row, in any order.

    Returns:
        is_hit, bool (n_users, k), and n_relevant, int64 (n_users,): what all metrics take.

    Raises:
        ValueError: rows do not fit, or an item is twice in one list.
    """
    n_users, k = recommended.shape
    if indptr.shape != (n_users + 1,) or indptr[-1] != indices.size:
        raise ValueError(f"indptr {indptr.shape} and indices {indices.shape} do not fit {n_users} lists.")
    n_relevant = np.diff(indptr).astype(np.int64)
    width = int(max(recommended.max(initial=NOBODY), indices.max(initial=NOBODY))) + 1
    row = np.arange(n_users, dtype=np.int64)
    # One number for each (user, item), so that a single sorted search finds all hits.
    relevant = np.sort(np.repeat(row, n_relevant) * width + indices)
    listed = row[:, None] * width + recommended
    is_filled = recommended > NOBODY
    filled = np.sort(listed[is_filled])
    is_repeated = filled[1:] == filled[:-1]
    if is_repeated.any():
        user, item = divmod(int(filled[1:][is_repeated][0]), width)
        raise ValueError(f"Row {user} of the lists holds item {item} twice.")
    if relevant.size == 0:
        return np.zeros((n_users, k), dtype=np.bool_), n_relevant
    found = np.searchsorted(relevant, listed).clip(max=relevant.size - 1)
    return (relevant[found] == listed) & is_filled, n_relevant
