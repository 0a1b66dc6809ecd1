"""MAE: how far predicted ratings are from the true ones on the average, in the unit of the ratings.

    MAE = mean of |true - predicted|

For explicit models only: it says nothing about the order of a list.

Source: Herlocker et al., "Evaluating collaborative filtering recommender systems", ACM TOIS 22(1), 2004, section 4.1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def mae(true: ArrayLike, predicted: ArrayLike) -> float:
    """Mean absolute error.

    Args:
        true: ratings (n,).
        predicted: predictions for the same rows (n,). A NaN in it makes the result NaN, as in `rmse`.

    Returns:
        The error, at least 0; NaN where n is 0.

    Raises:
        ValueError: the shapes differ.
    """
    t, p = np.asarray(true, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    if t.shape != p.shape or t.ndim != 1:
        raise ValueError(f"true {t.shape} and predicted {p.shape} must be two vectors of one length.")
    return float(np.mean(np.abs(t - p))) if t.size else float("nan")
