"""Random within each user, or each item: a share of the ratings of each is test.

Of m ratings round(m x share) are test: the ones with the smallest hash of (user, item, seed), so that the order of the
rows never matters, nor what other users rated. A user (item) with a single rating stays in train. It mixes past and
future, as most published figures do; compare like with like, and don't gate by it.

Within each item, share .25, is the split of recommenders-team/recommenders' benchmark (python_stratified_split with
filter_by="item").
"""

from __future__ import annotations

import numpy as np

from marquee.splits.base import Ints, Split, hashed, rank_within, refuse_share


def random_within(user: Ints, item: Ints, share: float, seed: int, within: str = "user") -> Split:
    """Split off a random share of the ratings of each user, or of each item.

    Args:
        user, item: dense indexes (n_ratings,); each pair at most once.
        share: of the ratings that the test side gets, between 0 and 1.
        seed: another seed, another split.
        within: "user" or "item".

    Raises:
        TrainingError: the share is not between 0 and 1, or a side is empty.
        ValueError: `within` is neither.
    """
    refuse_share("test share", share)
    if within not in ("user", "item"):
        raise ValueError(f"A random split is within each user or item, not within {within!r}.")
    group, other = (user, item) if within == "user" else (item, user)
    place = rank_within(group, hashed(user, item, seed), other)
    count = np.bincount(group)[group] if len(group) else np.zeros(0, np.int64)
    is_test = place < np.minimum(np.floor(count * share + 0.5), count - 1)
    return Split(~is_test, is_test, {"protocol": f"random-within-{within}", "share": share, "seed": seed})
