"""RMSE: how far predicted ratings are from the true ones, in the unit of the ratings.

    RMSE = sqrt(mean of (true - predicted)^2)

For explicit models only: it says nothing about the order of a list.

Source: Herlocker et al., "Evaluating collaborative filtering recommender systems", ACM TOIS 22(1), 2004, section 4.1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from marquee.metrics.predictions import differences


def rmse(true: ArrayLike, predicted: ArrayLike) -> float:
    """Root mean squared error.

    Args:
        true: ratings (n,).
        predicted: predictions for the same rows (n,). A NaN in it makes the result NaN: dropping such rows would
            flatter a model that fails to predict the hard ones.

    Returns:
        The error, at least 0; NaN where n is 0.

    Raises:
        ValueError: the shapes differ.
    """
    distance = differences(true, predicted)
    return float(np.sqrt(np.mean(distance**2))) if distance.size else float("nan")
