"""Leave-last-n: each user's latest ratings are test, all others are train.

Of equal times the item with the larger index is the later one. Users with no more than n ratings stay wholly in train:
nothing would be known of them. Since every user has a border of their own, a model learns from what others did after
this user's test ratings (Ji et al., ACM TOIS 41(3), 2023): for sequence tasks and for comparison with papers, not for
the gate.

Source: He et al., "Neural collaborative filtering", WWW 2017, section 4.1 (n = 1).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from marquee.errors import TrainingError
from marquee.splits.base import Ints, Split, rank_within


def leave_last(user: Ints, item: Ints, rated_at: NDArray[np.int64], n: int = 1) -> Split:
    """Split off the last n ratings of every user who has more.

    Args:
        user, item: dense indexes (n_ratings,).
        rated_at: int64 (n_ratings,), microseconds since 1970, UTC.
        n: ratings of a user on the test side, at least 1.

    Raises:
        TrainingError: n is less than 1, or no user has more than n ratings.
    """
    if n < 1:
        raise TrainingError(f"The number of ratings to leave out is {n}, but it must be at least 1.")
    place = rank_within(user, rated_at, item)
    count = np.bincount(user)[user] if len(user) else np.zeros(0, np.int64)
    is_test = (place >= count - n) & (count > n)
    return Split(~is_test, is_test, {"protocol": "leave-last", "n": n})
