"""What metrics of predicted ratings share: two vectors of one length."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def differences(true: ArrayLike, predicted: ArrayLike) -> NDArray[np.float64]:
    """float64 (n,): the true ratings (n,) less the predictions for the same rows (n,).

    Raises:
        ValueError: the shapes differ.
    """
    t, p = np.asarray(true, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    if t.shape != p.shape or t.ndim != 1:
        raise ValueError(f"true {t.shape} and predicted {p.shape} must be two vectors of one length.")
    return t - p
