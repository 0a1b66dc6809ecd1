"""AUC: how likely a relevant item scores above one that is not, over the whole catalogue.

    AUC(u) = mean over relevant i and other candidates j of  1 [s(u,i) > s(u,j)] + 1/2 [s(u,i) = s(u,j)]

Candidates are the items of the train side that the user has not rated there; none are sampled. A random order gives
1/2.

Source: Rendle et al., "BPR: Bayesian personalized ranking from implicit feedback", UAI 2009, section 6.2; ties by the
Mann-Whitney statistic.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from marquee.metrics.lists import Counts, Values


def auc(
    scores: NDArray[np.float32],
    is_item: NDArray[np.bool_],
    seen: tuple[Counts, NDArray[np.integer]],
    relevant: tuple[Counts, NDArray[np.integer]],
) -> Values:
    """AUC of each user.

    Args:
        scores: float32 (n_users, n_items), of a block of users; a NaN makes its user's AUC NaN.
        is_item: bool (n_items,), whether an item can be recommended: the train side knows it.
        seen: indptr (n_users + 1,) and item indexes: what each user of the block has rated, left out.
        relevant: the same of what is relevant; items that cannot be recommended or are seen do not count.

    Returns:
        float64 (n_users,) in [0, 1]; NaN where nothing is relevant, or nothing else is left.
    """
    from marquee.metrics.auc_kernel import auc_kernel

    (seen_at, seen_items), (relevant_at, relevant_items) = seen, relevant
    return np.asarray(
        auc_kernel(
            np.ascontiguousarray(scores, np.float32), is_item, np.asarray(seen_at, np.int64),
            np.asarray(seen_items, np.int64), np.asarray(relevant_at, np.int64), np.asarray(relevant_items, np.int64),
        )
    )  # fmt: skip
