"""Average popularity of what is recommended: whether lists lean on what everybody knows anyway.

    popularity@k(u) = mean over the places i <= k that are filled of n_ratings(item at i)

Source: Abdollahpouri, Burke and Mobasher, "Managing popularity bias in recommender systems with personalized
re-ranking", FLAIRS 2019, equation 4 (ARP).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from marquee.metrics.lists import Values, mean_of_places


def popularity(recommended: NDArray[np.integer], n_ratings: NDArray[np.integer], k: int) -> Values:
    """Mean number of ratings of the items of each user's list.

    Args:
        recommended: item indexes (n_users, at least k), -1 for an empty place.
        n_ratings: (n_items,), ratings of the item on the train side.
        k: length of the list.

    Returns:
        float64 (n_users,), in ratings; NaN where the list is empty.
    """
    return mean_of_places(np.asarray(n_ratings, np.float64), recommended, k)
