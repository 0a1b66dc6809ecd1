"""What there is to rate."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marquee.generator.catalogue import GENRES, TASTES, make, titles


@given(st.integers(1, 3000), st.integers(0, 2**32))
def test_urn_and_shares_agree(items: int, seed: int) -> None:
    catalogue = make(items, np.random.default_rng(seed))
    assert catalogue.n_tastes == min(TASTES, items)
    assert catalogue.urn_start[-1] == catalogue.urn.size
    for taste in range(catalogue.n_tastes):
        slots = catalogue.urn[catalogue.urn_start[taste] : catalogue.urn_start[taste + 1]]
        assert (catalogue.taste[slots] == taste).all()
        drawn = np.bincount(slots, minlength=items) / slots.size
        np.testing.assert_allclose(drawn, np.where(catalogue.taste == taste, catalogue.share, 0.0), atol=1e-12)
    assert catalogue.share.min() > 0


def test_popularity_is_long_tailed() -> None:
    catalogue = make(10_000, np.random.default_rng(1))
    popularity = np.sort(np.bincount(catalogue.urn))[::-1] / catalogue.urn.size
    assert popularity[0] * 10_000 > 40  # times the mean
    assert popularity[:100].sum() == pytest.approx(0.30, abs=0.05)
    assert np.median(popularity) * 10_000 < 0.25


def test_titles_and_genres() -> None:
    n = 20_000
    rows = list(titles(make(n, np.random.default_rng(1)), np.random.default_rng(2)))
    assert len({title for title, _ in rows}) == n
    years = [int(re.fullmatch(r".+ \((\d{4})\)", title)[1]) for title, _ in rows]  # type: ignore[index]
    assert min(years) >= 1935
    assert max(years) <= 2014
    for _, genres in rows:
        names = genres.split("|")
        assert 1 <= len(names) <= 3
        assert names == sorted(set(names))
        assert set(names) <= set(GENRES)
    assert {len(genres.split("|")) for _, genres in rows} == {1, 2, 3}
