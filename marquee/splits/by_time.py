"""Global temporal split: everything before one instant is train, everything from it on is test.

    train: rated_at < border        test: border <= rated_at

One border for all users, as in life: a model that is trained today knows nobody's tomorrow. (Splitting each user's own
history leaks the future of the others: Ji et al., "A critical study on data leakage in recommender system offline
evaluation", ACM TOIS 41(3), 2023.)
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from marquee.errors import TrainingError
from marquee.splits.base import Split, refuse_share


def border(rated_at: NDArray[np.int64], test_share: float) -> int:
    """The instant at which the test begins.

    It is the (n - m)-th smallest instant, counted from 0, with m = round(n * test_share), at least 1: an order
    statistic of the values alone, so the order of the rows never matters. Rows of that same instant are never
    torn apart: all of them are test, so the test may be a little larger than asked for.

    Args:
        rated_at: int64 (n,), microseconds since 1970-01-01 UTC, in any order. One copy is made.
        test_share: share of the ratings that the test shall have, between 0 and 1.

    Returns:
        Microseconds since 1970-01-01 UTC; test is `rated_at >= border`.

    Raises:
        TrainingError: the share is not between 0 and 1, or a side would be empty.
    """
    refuse_share("test share", test_share)
    n = int(rated_at.size)
    if n < 2:
        raise TrainingError(
            f"{n} rating(s) can't be split into train and test: bring at least two, of different times."
        )
    n_test = min(max(round(n * test_share), 1), n - 1)
    start = int(np.partition(rated_at, n - n_test)[n - n_test])
    n_train = int(np.count_nonzero(rated_at < start))
    if n_train == 0:
        n_later = int(np.count_nonzero(rated_at > start))
        remedy = (
            f"a test share of {_rounded_down(n_later / n)} would work ({n_later} ratings are later)"
            if n_later
            else "all of them bear this time, so bring ratings with their real times"
        )
        raise TrainingError(
            f"With a test share of {test_share}, all {n} ratings fall into the test and none into train, because "
            f"{n - n_later} of them have the earliest time, {_utc(start)}: {remedy}."
        )
    return start


def by_time(rated_at: NDArray[np.int64], start: int) -> Split:
    """Train: rated before `start`. Test: rated from it on.

    Args:
        rated_at: int64 (n,), microseconds since 1970-01-01 UTC.
        start: the border, as `border` returns it.

    Raises:
        TrainingError: a side is empty.
    """
    is_train = rated_at < start
    return Split(is_train, ~is_train, {"protocol": "time", "border": int(start), "border_time": _utc(start)})


def _rounded_down(share: float) -> float:
    # To three digits, downwards: rounded up, the advice would lead to the same error.
    scale = 10.0 ** (2 - math.floor(math.log10(share)))
    return math.floor(share * scale) / scale


def _utc(microseconds: int) -> str:
    # Added to the epoch, since fromtimestamp() refuses years that a broken file can hold.
    try:
        return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)).isoformat()
    except OverflowError:
        return f"{microseconds} microseconds after 1970"
