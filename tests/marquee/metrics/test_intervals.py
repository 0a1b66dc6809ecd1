"""Bootstrap intervals: beside scipy's, and as often right as they say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import bootstrap

from marquee.metrics.intervals import Interval, interval, paired


def test_beside_scipy() -> None:
    values = np.random.default_rng(1).beta(0.5, 2.0, 400)
    ours = interval(values, seed=1, resamples=9999)
    theirs = bootstrap((values,), np.mean, method="percentile", n_resamples=9999, rng=2).confidence_interval
    assert (ours.value, ours.n_users) == (pytest.approx(values.mean()), 400)
    assert (ours.low, ours.high) == (pytest.approx(theirs.low, abs=1e-3), pytest.approx(theirs.high, abs=1e-3))


def test_of_a_pair_the_differences_are_drawn() -> None:
    rng = np.random.default_rng(2)
    hard = rng.random(300)
    ours, theirs = hard + 0.01 + rng.normal(0, 0.01, 300), hard
    found = paired(ours, theirs, seed=3)
    assert found.value == pytest.approx(np.mean(ours - theirs)) and 0.005 < found.low < found.high < 0.015
    apart = [interval(values, seed=3) for values in (ours, theirs)]
    assert apart[0].low < apart[1].high, "unpaired, the same users tell nothing"
    theirs[0] = math.nan
    assert paired(ours, theirs, seed=3).n_users == 299
    with pytest.raises(ValueError, match="not of the same users"):
        paired(ours, theirs[1:], seed=3)


def test_the_truth_is_outside_as_rarely_as_it_says() -> None:
    rng = np.random.default_rng(4)
    covered = 0
    for trial in range(400):
        found = interval(rng.exponential(1.0, 200), seed=trial, resamples=500)
        covered += found.low <= 1.0 <= found.high
    assert 0.91 < covered / 400 < 0.975


def test_many_users_are_drawn_in_groups() -> None:
    values = np.random.default_rng(5).random(300_000)
    found = interval(values, seed=1, resamples=400)
    wide = 1.96 * values.std() / math.sqrt(len(values))
    assert found.value == pytest.approx(values.mean())
    assert found.high - found.low == pytest.approx(2 * wide, rel=0.15)


def test_few_users_and_the_seed() -> None:
    assert interval([math.nan, 0.5], seed=1) == Interval(
        0.5, pytest.approx(math.nan, nan_ok=True), pytest.approx(math.nan, nan_ok=True), 1
    )
    assert math.isnan(interval([], seed=1).value)
    values = np.arange(50.0)
    assert interval(values, seed=1) == interval(values, seed=1) != interval(values, seed=2)
    assert interval(values, seed=1, confidence=0.5).low > interval(values, seed=1).low
