"""Serendipity: hits that the popularity floor would not have had.

    serendipity@k(u) = | hits among the first k places whose item is not among the floor's first k for u | / k

Source: Ge, Delgado-Battenfeld and Jannach, "Beyond accuracy: evaluating recommender systems by coverage and
serendipity", RecSys 2010, section 3.2 (unexpected = not recommended by a primitive model; the primitive one is
popularity, unseen items for each user).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from marquee.metrics.lists import Counts, Hits, Values, is_among, per_user, top


def serendipity(
    is_hit: Hits,
    n_relevant: Counts,
    recommended: NDArray[np.integer],
    expected: NDArray[np.integer],
    k: int,
) -> Values:
    """Share of each user's list that hits and that the floor's list lacks.

    Args:
        is_hit: bool (n_users, at least k), best first.
        n_relevant: int64 (n_users,).
        recommended: item indexes (n_users, at least k), -1 for an empty place.
        expected: the floor's lists for the same users, likewise.
        k: length of the list.

    Returns:
        float64 (n_users,) in [0, 1]; NaN where nothing is relevant.

    Raises:
        ValueError: as `lists.top`.
    """
    is_surprise = top(is_hit, n_relevant, k) & ~is_among(recommended[:, :k], expected[:, :k])
    return per_user(is_surprise.sum(axis=1) / k, n_relevant)
