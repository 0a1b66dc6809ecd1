"""Hit rate: the share of users whose list holds at least one relevant item.

    hit@k(u) = 1 if any of the first k items is relevant, else 0

Source: Deshpande and Karypis, "Item-based top-N recommendation algorithms", ACM TOIS 22(1), 2004, section 6.1.
"""

from __future__ import annotations

import numpy as np

from marquee.metrics.lists import Counts, Hits, Values, per_user, top


def hit_rate(is_hit: Hits, n_relevant: Counts, k: int) -> Values:
    """Hit rate at k of each user.

    Args:
        is_hit: bool (n_users, at least k), best first.
        n_relevant: int64 (n_users,).
        k: length of the list.

    Returns:
        float64 (n_users,), 0 or 1; NaN where nothing is relevant.

    Raises:
        ValueError: as `lists.top`.
    """
    return per_user(np.where(top(is_hit, n_relevant, k).any(axis=1), 1.0, 0.0), n_relevant)
