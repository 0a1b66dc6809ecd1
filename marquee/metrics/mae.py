"""MAE: how far predicted ratings are from the true ones on the average, in the unit of the ratings.

    MAE = mean of |true - predicted|

For explicit models only: it says nothing about the order of a list.

Source: Herlocker et al., "Evaluating collaborative filtering recommender systems", ACM TOIS 22(1), 2004, section 4.1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from marquee.metrics.predictions import differences


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
    distance = differences(true, predicted)
    return float(np.mean(np.abs(distance))) if distance.size else float("nan")
