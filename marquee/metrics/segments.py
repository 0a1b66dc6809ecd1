"""Segments: users by how much they have rated, items by how often they are rated.

A mean over all users hides those for whom a model fails; the long tail is where recommenders do.

    users   light, medium, heavy: thirds of the judged users by their ratings on the train side
    items   head, middle, tail: most rated items with half of all ratings, the next with 30 %, the rest with 20 %

Equal counts are never torn apart for users: a third may be larger than the others, or empty.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from marquee.metrics.long_tail import is_tail

USER_SEGMENTS = ("light", "medium", "heavy")
ITEM_SEGMENTS = ("head", "middle", "tail")


def user_segments(n_ratings: NDArray[np.integer]) -> NDArray[np.int8]:
    """The segment of each user, as a place in `USER_SEGMENTS`.

    Args:
        n_ratings: (n_users,), ratings on the train side of the users who are judged.
    """
    if len(n_ratings) == 0:
        return np.zeros(0, np.int8)
    borders = np.quantile(n_ratings, [1 / 3, 2 / 3], method="inverted_cdf")
    return np.searchsorted(borders, n_ratings, side="left").astype(np.int8)


def item_segments(n_ratings: NDArray[np.integer]) -> NDArray[np.int8]:
    """The segment of each item, as a place in `ITEM_SEGMENTS`.

    Args:
        n_ratings: (n_items,), ratings on the train side.
    """
    return (is_tail(n_ratings, 0.5).astype(np.int8) + is_tail(n_ratings).astype(np.int8)).astype(np.int8)
