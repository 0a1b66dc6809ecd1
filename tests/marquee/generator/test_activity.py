"""How many ratings each user gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marquee.generator import activity
from marquee.generator.activity import ratings_per_user


@st.composite
def requests(draw: st.DrawFn) -> tuple[int, int, int]:
    users, items = draw(st.integers(1, 200)), draw(st.integers(1, 200))
    return users, items, draw(st.integers(users, users * items))


@given(requests(), st.integers(0, 2**64))
def test_exactly_as_many_as_asked_for(request_: tuple[int, int, int], seed: int) -> None:
    users, items, ratings = request_
    counts = ratings_per_user(users, items, ratings, np.random.default_rng(seed))
    assert counts.shape == (users,)
    assert counts.sum() == ratings
    assert counts.min() >= 1
    assert counts.max() <= items


def test_long_tailed() -> None:
    counts = ratings_per_user(10_000, 5_000, 1_000_000, np.random.default_rng(1))
    busiest = np.sort(counts)[::-1]
    assert busiest[:1000].sum() / counts.sum() == pytest.approx(0.42, abs=0.03)  # the busiest tenth gives two fifths
    assert np.median(counts) < counts.mean() / 1.5


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = ratings_per_user(1000, 50, 20_000, np.random.default_rng(1))
    monkeypatch.setattr(activity, "BLOCK", 64)
    np.testing.assert_array_equal(ratings_per_user(1000, 50, 20_000, np.random.default_rng(1)), whole)
