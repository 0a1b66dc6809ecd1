"""Precision: the share of the list that is relevant.

    precision@k(u) = hits among the first k / k

The divisor is k even where the list is shorter or fewer than k items are relevant (TREC's P@k): a model is not
rewarded for keeping silent. So an ideal list scores min(k, n_relevant) / k.

Source: Manning, Raghavan, Schuetze, "Introduction to Information Retrieval", 2008, section 8.4.
"""

from __future__ import annotations

from marquee.metrics.lists import Counts, Hits, Values, per_user, top


def precision(is_hit: Hits, n_relevant: Counts, k: int) -> Values:
    """Precision at k of each user.

    Args:
        is_hit: bool (n_users, at least k), best first.
        n_relevant: int64 (n_users,).
        k: length of the list.

    Returns:
        float64 (n_users,) in [0, 1]; NaN where nothing is relevant.

    Raises:
        ValueError: as `lists.top`.
    """
    return per_user(top(is_hit, n_relevant, k).sum(axis=1) / k, n_relevant)
