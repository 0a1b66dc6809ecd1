"""The border between train and test."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marquee.errors import TrainingError
from marquee.splits.by_time import border, by_time

TIMES = st.lists(st.integers(-(10**17), 10**17) | st.integers(0, 5), min_size=2, max_size=60)


@pytest.mark.parametrize(
    ("times", "share", "expected"),
    [
        ([10, 20, 30, 40, 50, 60, 70, 80, 90, 100], 0.2, 90),
        ([100, 90, 80, 70, 60, 50, 40, 30, 20, 10], 0.2, 90),
        ([10, 20, 30, 40, 50, 60, 70, 80, 90, 100], 0.3, 80),
        ([1, 2], 0.001, 2),  # at least one rating is test
        ([1, 2], 0.999, 2),  # and at least one train
        ([1, 2, 2, 2], 0.25, 2),  # equal times are never torn apart: test is larger than asked for
        ([-5, -3, 7], 0.3, 7),
    ],
)
def test_border(times: list[int], share: float, expected: int) -> None:
    assert border(np.array(times), share) == expected


@given(TIMES, st.floats(0.01, 0.99), st.randoms())
def test_properties(times: list[int], share: float, random: object) -> None:
    rated_at = np.array(times, dtype=np.int64)
    shuffled = times.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    try:
        start = border(rated_at, share)
    except TrainingError as error:
        with pytest.raises(TrainingError, match=re.escape(str(error))):
            border(np.array(shuffled), share)
        advice = re.search(r"a test share of ([0-9.e-]+) would work", str(error))
        if advice:
            border(rated_at, float(advice[1]))  # what the sentence advises does work
        else:
            assert len(set(times)) == 1
        return
    assert start in times
    assert border(np.array(shuffled), share) == start
    n_asked = max(round(len(times) * share), 1)
    n_test, n_at_border = int((rated_at >= start).sum()), times.count(start)
    assert 0 < n_test < len(times)
    assert min(n_asked, len(times) - 1) <= n_test < n_asked + n_at_border
    split = by_time(rated_at, start)
    assert (split.is_train.sum(), split.is_test.sum()) == (len(times) - n_test, n_test)
    assert rated_at[split.is_train].max() < start == rated_at[split.is_test].min()  # half-open, and nothing leaks


@pytest.mark.parametrize(
    ("times", "share", "said"),
    [
        ([5] * 4, 0.2, "all 4 ratings fall into the test and none into train, because 4 of them have "
         "the earliest time, 1970-01-01T00:00:00.000005.00:00: all of them bear this time"),
        ([5, 5, 5, 9], 0.5, "3 of them have the earliest time.*a test share of 0.25 would work"),
        ([10**18] * 2, 0.5, "1000000000000000000 microseconds after 1970"),
        ([5], 0.2, "1 rating.s. can't be split"),
        ([], 0.2, "0 rating.s. can't be split"),
        ([1, 2], 0.0, "test share is 0.0, but it must lie between 0 and 1"),
        ([1, 2], 1.0, "test share is 1.0"),
        ([1, 2], float("nan"), "test share is nan"),
    ],
)  # fmt: skip
def test_refusals(times: list[int], share: float, said: str) -> None:
    with pytest.raises(TrainingError, match=said):
        border(np.array(times, dtype=np.int64), share)
