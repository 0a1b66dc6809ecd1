"""Reciprocal rank: how early the first relevant item comes. Its mean over users is MRR.

    RR@k(u) = 1 / position of the first hit among the first k; 0 where there is none

Source: Voorhees, "The TREC-8 Question Answering Track Report", 1999, section 3.
"""

from __future__ import annotations

import numpy as np

from marquee.metrics.lists import Counts, Hits, Values, per_user, top


def reciprocal_rank(is_hit: Hits, n_relevant: Counts, k: int) -> Values:
    """Reciprocal rank at k of each user.

    Args:
        is_hit: bool (n_users, at least k), best first.
        n_relevant: int64 (n_users,).
        k: length of the list.

    Returns:
        float64 (n_users,) in [0, 1]; NaN where nothing is relevant.

    Raises:
        ValueError: as `lists.top`.
    """
    hits = top(is_hit, n_relevant, k)
    position = hits.argmax(axis=1) + 1  # 1 also where there is no hit; the next line takes care of that
    return per_user(np.where(hits.any(axis=1), 1.0 / position, 0.0), n_relevant)
