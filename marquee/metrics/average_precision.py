"""Average precision: precision at the place of each hit, averaged. Its mean over users is MAP.

    AP@k(u) = sum over hits at positions i <= k of precision@i(u)  /  min(k, n_relevant(u))

The divisor is the subject of an old confusion. TREC (and ranx, trec_eval) divide by n_relevant, so that an ideal list
of k places stays below 1 whenever more than k items are relevant. We divide by min(k, n_relevant), the most hits that k
places can hold: an ideal list scores 1, at any k. The two agree wherever n_relevant <= k, and otherwise
AP_trec = AP * k / n_relevant.

Source: Manning, Raghavan, Schuetze, "Introduction to Information Retrieval", 2008, section 8.4 (the sum); McFee et al.,
"The Million Song Dataset Challenge", 2012, section 4.1 (the cut at k and the divisor min(k, n_relevant)).
"""

from __future__ import annotations

import numpy as np

from marquee.metrics.lists import Counts, Hits, Values, per_user, top


def average_precision(is_hit: Hits, n_relevant: Counts, k: int) -> Values:
    """Average precision at k of each user.

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
    precision_at = hits.cumsum(axis=1) / np.arange(1, k + 1)
    n_possible = np.clip(n_relevant, 1, k)
    return per_user((precision_at * hits).sum(axis=1) / n_possible, n_relevant)
