"""How many ratings each user gives: long-tailed, at least one, at most one an item, exactly as many as asked for."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

SPREAD = 1.1
"""Sigma of the log of a user's activity; MovieLens latest-small has 1.0."""

BLOCK = 1 << 20
"""Users looked at together, so that temporary arrays do not grow with their number."""


def ratings_per_user(users: int, items: int, ratings: int, random: np.random.Generator) -> NDArray[np.int32]:
    """Deal the ratings out to the users, in proportion to a lognormal activity.

    count_u = 1 + min(items - 1, floor(scale * activity_u)), with the scale found by bisection; the few ratings that
    rounding leaves over go to the first users that have room.

    Args:
        users: number of users, at least 1.
        items: number of items, the most that one user can rate.
        ratings: the sum, between `users` and `users * items`.
        random: source of randomness.

    Returns:
        int32 (users,), each between 1 and `items`. Holds 8 bytes a user while it runs.
    """
    activity = np.empty(users, dtype=np.float32)
    for block in _blocks(users):
        activity[block] = np.exp(SPREAD * random.standard_normal(block.stop - block.start))

    def extra(block: slice, scale: float) -> NDArray[np.float64]:
        return np.floor(np.minimum(activity[block] * np.float64(scale), items - 1))

    to_deal = ratings - users
    too_little, enough = 0.0, items / float(activity.min())
    for _ in range(64):  # halvings; a double has 53 bits
        scale = (too_little + enough) / 2
        if sum(int(extra(block, scale).sum()) for block in _blocks(users)) <= to_deal:
            too_little = scale
        else:
            enough = scale

    counts = np.empty(users, dtype=np.int32)
    for block in _blocks(users):
        counts[block] = 1 + extra(block, too_little)
    left = ratings - int(counts.sum(dtype=np.int64))
    while left:
        has_room = np.flatnonzero(counts < items)[:left]
        counts[has_room] += 1
        left -= has_room.size
    return counts


def _blocks(n: int) -> Iterator[slice]:
    return (slice(start, min(start + BLOCK, n)) for start in range(0, n, BLOCK))
