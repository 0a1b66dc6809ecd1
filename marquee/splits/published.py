"""Published folds: the sides that a data set's authors laid down, as ML-100K's u1.base and u1.test to u5.

A figure on them can be held against a paper's. What of the published rows the data lacks, or has beside them, is an
error: another data set's folds were given.
"""

from __future__ import annotations

import numpy as np

from marquee.errors import TrainingError
from marquee.splits.base import Ints, Split


def published(user: Ints, item: Ints, test: tuple[Ints, Ints], name: str) -> Split:
    """Train and test as published.

    Args:
        user, item: dense indexes (n_ratings,); each pair at most once.
        test: users and items, by the same indexes, of the published test side; -1 for one that the data does not know.
        name: of the fold, as "u1", for the metric card.

    Raises:
        TrainingError: a published test rating is not in the data, or a side is empty.
    """
    test_user, test_item = (np.asarray(side).astype(np.int64) for side in test)
    width = int(max(item.max(initial=-1), test_item.max(initial=-1))) + 1
    wanted, there = test_user * width + test_item, np.asarray(user).astype(np.int64) * width + item
    is_missing = (test_user < 0) | (test_item < 0) | ~np.isin(wanted, there)
    if is_missing.any():
        raise TrainingError(
            f"{int(is_missing.sum()):,} of {len(wanted):,} ratings of the published test side {name} are not in the "
            f"data (the first is row {int(np.argmax(is_missing)) + 1}): it belongs to another data set."
        )
    is_test = np.isin(there, wanted)
    return Split(~is_test, is_test, {"protocol": "published", "fold": name})
