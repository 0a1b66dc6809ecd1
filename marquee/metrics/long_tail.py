"""Long-tail share: how many of the recommended items are outside of the head of the catalogue.

    head           the fewest items, most rated first, that hold at least 80 % of the ratings
    long_tail@k(u) = share of the filled places i <= k whose item is not in the head

Of equally rated items at the border the ones with the smaller index are in the head.

Source: Abdollahpouri, Burke and Mobasher, FLAIRS 2019, equation 5 (APLT) and section 3 (the head by the Pareto rule).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from marquee.metrics.lists import Values, mean_of_places

HEAD_SHARE = 0.8


def is_tail(n_ratings: NDArray[np.integer], head_share: float = HEAD_SHARE) -> NDArray[np.bool_]:
    """bool (n_items,): whether an item is outside of the head.

    Args:
        n_ratings: (n_items,), ratings of each item on the train side.
        head_share: share of all ratings that the head holds.
    """
    order = np.argsort(-np.asarray(n_ratings, np.int64), kind="stable")
    held = np.cumsum(np.asarray(n_ratings, np.float64)[order])
    n_head = int(np.searchsorted(held, head_share * held[-1] * (1 - 1e-12))) + 1 if held.size and held[-1] > 0 else 0
    tail = np.ones(len(order), np.bool_)
    tail[order[:n_head]] = False
    return tail


def long_tail(recommended: NDArray[np.integer], tail: NDArray[np.bool_], k: int) -> Values:
    """Share of each user's list that is in the tail.

    Args:
        recommended: item indexes (n_users, at least k), -1 for an empty place.
        tail: bool (n_items,), as `is_tail` tells.
        k: length of the list.

    Returns:
        float64 (n_users,) in [0, 1]; NaN where the list is empty.
    """
    return mean_of_places(tail.astype(np.float64), recommended, k)
