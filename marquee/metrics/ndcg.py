"""nDCG: hits count less the later they come, beside the best that k places can hold.

    DCG@k(u)  = sum over hits at positions i <= k of 1 / log2(i + 1)
    nDCG@k(u) = DCG@k(u) / sum over i = 1 .. min(k, n_relevant(u)) of 1 / log2(i + 1)

Relevance is binary, where the linear and the exponential gain (2^rel - 1) are the same. The ideal list is cut at k
too, so that it scores 1 at any k.

Source: Jarvelin and Kekalainen, "Cumulated gain-based evaluation of IR techniques", ACM TOIS 20(4), 2002, with the
discount 1 / log2(i + 1) of Burges et al., "Learning to Rank using Gradient Descent", ICML 2005, section 6.
"""

from __future__ import annotations

import numpy as np

from marquee.metrics.lists import Counts, Hits, Values, per_user, top


def ndcg(is_hit: Hits, n_relevant: Counts, k: int) -> Values:
    """nDCG at k of each user.

    Args:
        is_hit: bool (n_users, at least k), best first.
        n_relevant: int64 (n_users,).
        k: length of the list.

    Returns:
        float64 (n_users,) in [0, 1]; NaN where nothing is relevant.

    Raises:
        ValueError: as `lists.top`.
    """
    discount = 1.0 / np.log2(np.arange(2, k + 2))
    # Summed row by row: a matrix product's last bit depends on the rows around, and so on the order of the users.
    dcg = np.where(top(is_hit, n_relevant, k), discount, 0.0).sum(axis=1)
    ideal = np.cumsum(discount)[np.clip(n_relevant, 1, k) - 1]
    # The sums run in different orders, so that an ideal list may come out one rounding above 1.
    return per_user(np.minimum(dcg / ideal, 1.0), n_relevant)
