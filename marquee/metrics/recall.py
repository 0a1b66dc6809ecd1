"""Recall: the share of the relevant items that the list holds.

    recall@k(u) = hits among the first k / n_relevant(u)

The divisor is n_relevant, not min(k, n_relevant): with more relevant items than places even an ideal list stays
below 1, at k / n_relevant.

Source: Manning, Raghavan, Schuetze, "Introduction to Information Retrieval", 2008, section 8.3.
"""

from __future__ import annotations

import numpy as np

from marquee.metrics.lists import Counts, Hits, Values, per_user, top


def recall(is_hit: Hits, n_relevant: Counts, k: int) -> Values:
    """Recall at k of each user.

    Args:
        is_hit: bool (n_users, at least k), best first.
        n_relevant: int64 (n_users,).
        k: length of the list.

    Returns:
        float64 (n_users,) in [0, 1]; NaN where nothing is relevant.

    Raises:
        ValueError: as `lists.top`.
    """
    n_hits = top(is_hit, n_relevant, k).sum(axis=1)
    return per_user(n_hits / np.maximum(n_relevant, 1), n_relevant)
