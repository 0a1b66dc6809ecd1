"""Novelty: how little known the recommended items are, in bits.

    novelty@k(u) = mean over the places i <= k that are filled of -log2( n_ratings(item at i) / n_users )

An item that everybody has rated tells nobody anything: 0. One that a single user of 1,024 has rated: 10 bits. An item
without a rating counts as if it had one.

Source: Vargas and Castells, "Rank and relevance in novelty and diversity metrics for recommender systems", RecSys 2011,
section 4 (expected inventory: mean self-information); Zhou et al., PNAS 107(10), 2010.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from marquee.metrics.lists import Values, mean_of_places


def novelty(recommended: NDArray[np.integer], n_ratings: NDArray[np.integer], n_users: int, k: int) -> Values:
    """Mean self-information of each user's list.

    Args:
        recommended: item indexes (n_users, at least k), best first, -1 for an empty place.
        n_ratings: (n_items,), users of the train side who rated the item.
        n_users: users of the train side, at least 1.
        k: length of the list.

    Returns:
        float64 (n_users,), at least 0 bits; NaN where the list is empty.
    """
    share = np.minimum(np.maximum(n_ratings, 1) / n_users, 1.0)
    return mean_of_places(-np.log2(share), recommended, k)
