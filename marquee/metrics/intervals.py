"""Bootstrap intervals over users, plain and paired: whether a difference is more than luck.

Users are drawn with replacement, a figure is their mean, and the interval runs between quantiles of the means of many
draws (the percentile bootstrap). Paired: the difference of two models is taken user by user first, so that what makes a
user hard for both does not count. Users without a value (NaN) are left out; of a pair, who lacks either one.

More than 20,000 users are put together by chance into 20,000 groups, which are drawn instead: the mean of a draw is the
ratio of its groups' sums to their sizes. So an interval costs the same for a million users.

Source: Efron and Tibshirani, "An introduction to the bootstrap", 1993, chapter 13; paired, for retrieval: Sakai,
"Evaluating evaluation metrics based on the bootstrap", SIGIR 2006; of groups: Davison and Hinkley, 1997, section 3.8.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

RESAMPLES, CONFIDENCE, MOST_GROUPS = 2000, 0.95, 20_000


@dataclass(frozen=True)
class Interval:
    """A mean over users, and where it lies.

    Attributes:
        value: the mean; NaN where no user has a value.
        low, high: ends of the interval; NaN where fewer than two users have a value.
        n_users: those who have a value.
    """

    value: float
    low: float
    high: float
    n_users: int


def interval(values: ArrayLike, *, seed: int, confidence: float = CONFIDENCE, resamples: int = RESAMPLES) -> Interval:
    """The mean of the users' values, and its bootstrap interval.

    Args:
        values: float64 (n_users,), in an order that does not change; NaN for a user without a value.
        seed: the same seed, the same interval.
        confidence: between 0 and 1.
        resamples: draws.
    """
    column = np.asarray(values, np.float64)
    return intervals({"": column}, seed=seed, confidence=confidence, resamples=resamples)[""]


def paired(
    ours: ArrayLike, theirs: ArrayLike, *, seed: int, confidence: float = CONFIDENCE, resamples: int = RESAMPLES
) -> Interval:
    """The mean of the differences, ours less theirs, and its bootstrap interval.

    Args:
        ours, theirs: float64 (n_users,), row by row of the same users.

    Raises:
        ValueError: the two are not of the same users.
    """
    a, b = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"Values {a.shape} and {b.shape} are not of the same users, so they make no pairs.")
    return interval(a - b, seed=seed, confidence=confidence, resamples=resamples)


def intervals(
    columns: Mapping[str, NDArray[np.float64]],
    *,
    seed: int,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
) -> dict[str, Interval]:
    """Intervals of several figures of the same users, by the same draws.

    Args:
        columns: figure -> float64 (n_users,), NaN for a user without a value.
    """
    if not columns:
        return {}
    values = np.stack(list(columns.values()), axis=1)
    is_there = ~np.isnan(values)
    n_there = is_there.sum(axis=0)
    sums, sizes = np.where(is_there, values, 0.0), is_there.astype(np.float64)
    mean = np.divide(sums.sum(axis=0), n_there, out=np.full(len(n_there), np.nan), where=n_there > 0)
    means = _means(sums, sizes, np.random.default_rng(seed), resamples)
    found = {}
    for at, name in enumerate(columns):
        drawn = means[:, at][~np.isnan(means[:, at])]
        ends = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2]) if n_there[at] > 1 else (math.nan,) * 2
        found[name] = Interval(float(mean[at]), float(ends[0]), float(ends[1]), int(n_there[at]))
    return found


def _means(
    sums: NDArray[np.float64], sizes: NDArray[np.float64], rng: np.random.Generator, resamples: int
) -> NDArray[np.float64]:
    """float64 (resamples, n_figures): the means of so many draws; NaN where nobody with a value was drawn."""
    n = len(sums)
    if n > MOST_GROUPS:
        group = rng.permutation(n) % MOST_GROUPS
        sums, sizes = (_grouped(values, group) for values in (sums, sizes))
        n = MOST_GROUPS
    at_once = max(1, 4_000_000 // max(1, n))
    means = np.full((resamples, sums.shape[1]), np.nan)
    for start in range(0, resamples, at_once):
        size = min(at_once, resamples - start)
        drawn = rng.integers(0, n, (size, n)) + np.arange(size)[:, None] * n
        times = np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n).astype(np.float64)
        total, there = times @ sums, times @ sizes
        np.divide(total, there, out=means[start : start + size], where=there > 0)
    return means


def _grouped(values: NDArray[np.float64], group: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.stack([np.bincount(group, column, MOST_GROUPS) for column in values.T], axis=1).astype(np.float64)
