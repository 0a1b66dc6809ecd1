"""k-fold: the ratings fall into k parts at random; each part is test once, the others are train.

A rating's part is a function of (user, item, seed) alone. Every rating is test in exactly one fold.

Source: Stone, "Cross-validatory choice and assessment of statistical predictions", JRSS B 36(2), 1974; Surprise's KFold
does the same over rows.
"""

from __future__ import annotations

import numpy as np

from marquee.errors import TrainingError
from marquee.splits.base import Ints, Split, hashed


def k_fold(user: Ints, item: Ints, folds: int, fold: int, seed: int) -> Split:
    """One fold of k.

    Args:
        user, item: dense indexes (n_ratings,); each pair at most once.
        folds: k, at least 2.
        fold: which part is test, from 0.

    Raises:
        TrainingError: there are fewer than 2 folds, no such fold, or a side is empty.
    """
    if folds < 2:
        raise TrainingError(f"The number of folds is {folds}, but it must be at least 2.")
    if not 0 <= fold < folds:
        raise TrainingError(f"There is no fold {fold}: the {folds} folds are numbered from 0 to {folds - 1}.")
    is_test = np.floor(hashed(user, item, seed) * folds).astype(np.int64) == fold
    return Split(~is_test, is_test, {"protocol": "k-fold", "folds": folds, "fold": fold, "seed": seed})
