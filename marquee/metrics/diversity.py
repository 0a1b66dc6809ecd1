"""Intra-list diversity: how unlike one another the items of a list are.

    diversity@k(u) = mean over the pairs of filled places i < j <= k of 1 - cos( v(item i), v(item j) )

v is what is known of an item apart from any model: its genres or categories, as a vector of 0 and 1, so that all models
are measured by the same rule. An item without a genre is unlike every other.

Source: Ziegler et al., "Improving recommendation lists through topic diversification", WWW 2005, equation 2 (intra-list
similarity), as the mean distance of Smyth and McClave, ICCBR 2001.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from marquee.metrics.lists import NOBODY, Values


def diversity(recommended: NDArray[np.integer], vectors: NDArray[np.floating], k: int) -> Values:
    """Mean distance between the items of each user's list.

    The sum over pairs comes from the length of the sum of the unit vectors: |sum v|^2 = n + 2 sum over pairs of cos.

    Args:
        recommended: item indexes (n_users, at least k), -1 for an empty place.
        vectors: (n_items, d), 0 or more.
        k: length of the list.

    Returns:
        float64 (n_users,) in [0, 1]; NaN where the list has fewer than two items.
    """
    vectors = np.asarray(vectors, np.float64)
    norm = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.divide(vectors, norm, out=np.zeros_like(vectors), where=norm > 0)
    top = recommended[:, :k]
    is_filled = top > NOBODY
    total = np.zeros((len(top), vectors.shape[1]))
    own = np.zeros(len(top))
    for place in range(top.shape[1]):
        one = np.where(is_filled[:, place, None], unit[top[:, place]], 0.0)
        total += one
        own += (one * one).sum(axis=1)
    n = is_filled.sum(axis=1)
    pairs = n * (n - 1) / 2.0
    alike = ((total * total).sum(axis=1) - own) / 2.0
    values = np.divide(pairs - alike, pairs, out=np.full(len(top), np.nan), where=pairs > 0)
    return np.asarray(values.clip(0.0, 1.0))
