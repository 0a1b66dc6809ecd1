"""What a group of users rates: the two ways of drawing obey the same law."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marquee.generator import histories
from marquee.generator.catalogue import Catalogue, make


def world(items: int = 40) -> Catalogue:
    return make(items, np.random.default_rng(5))


@settings(max_examples=50, deadline=None)
@given(st.data(), st.integers(1, 60), st.integers(0, 2**32))
def test_every_group_is_complete_and_without_a_pair_twice(data: st.DataObject, items: int, seed: int) -> None:
    counts = np.array(data.draw(st.lists(st.integers(1, items), min_size=1, max_size=30)), dtype=np.int32)
    drawn = histories.draw(counts, world(items), np.random.default_rng(seed))
    np.testing.assert_array_equal(np.bincount(drawn.user, minlength=counts.size), counts)
    pairs = drawn.user * items + drawn.item
    assert (np.diff(pairs) > 0).all()  # ordered, and no pair twice
    assert drawn.item.max() < items
    assert drawn.half_stars.min() >= 1
    assert drawn.half_stars.max() <= 10
    assert drawn.rated_at.min() >= histories.FIRST_TIME
    assert drawn.rated_at.max() <= histories.LAST_TIME


def test_urn_and_race_obey_the_law_of_drawing_one_by_one() -> None:
    """40,000 users of one taste pick 3 of 12 items in the two ways, and in an obvious third."""
    catalogue, n = world(12), 40_000
    theta = np.tile(np.random.default_rng(2).dirichlet(np.ones(catalogue.n_tastes)), (n, 1))
    counts = np.full(n, 3, dtype=np.int32)
    everybody = np.arange(n)
    urn, unfinished = histories._pick_by_urn(everybody, counts, theta, catalogue, np.random.default_rng(1))
    race = histories._pick_by_race(everybody, counts, theta, catalogue, np.random.default_rng(2))
    random, p = np.random.default_rng(3), theta[0][catalogue.taste] * catalogue.share
    assert p.sum() == pytest.approx(1.0)
    obvious = np.concatenate([random.choice(12, 3, replace=False, p=p) for _ in range(n)])
    finished = n - unfinished.size
    assert finished > 0.99 * n
    expected = np.bincount(obvious, minlength=12) / n
    # Four standard errors of a difference of two shares are 0.014 at the most.
    np.testing.assert_allclose(np.bincount(urn % 12, minlength=12) / finished, expected, atol=0.014)
    np.testing.assert_allclose(np.bincount(race % 12, minlength=12) / n, expected, atol=0.014)


def test_users_who_draw_in_vain_are_finished_by_the_race(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(histories, "ROUNDS", 1)
    counts = np.full(500, 5, dtype=np.int32)
    drawn = histories.draw(counts, world(), np.random.default_rng(1))
    np.testing.assert_array_equal(np.bincount(drawn.user), counts)
    assert (np.diff(drawn.user * 40 + drawn.item) > 0).all()
