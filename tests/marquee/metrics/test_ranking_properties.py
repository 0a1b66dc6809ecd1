"""What is true of every ranking metric, whatever the lists."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marquee.metrics import RANKING, summarize


@st.composite
def judged_lists(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """is_hit of shape (1 .. 12 users, 1 .. 8 places), and n_relevant, at least the hits of each list."""
    n_users, k = draw(st.integers(1, 12)), draw(st.integers(1, 8))
    rows = st.lists(st.booleans(), min_size=k, max_size=k)
    is_hit = np.array(draw(st.lists(rows, min_size=n_users, max_size=n_users)))
    more = draw(st.lists(st.integers(0, 10), min_size=n_users, max_size=n_users))
    return is_hit, is_hit.sum(axis=1) + np.array(more)


@given(judged_lists())
def test_between_0_and_1_and_nan_only_where_nothing_is_relevant(lists: tuple[np.ndarray, np.ndarray]) -> None:
    is_hit, n_relevant = lists
    for metric in RANKING.values():
        values = metric(is_hit, n_relevant, is_hit.shape[1])
        assert values.shape == n_relevant.shape
        assert values.dtype == np.float64
        assert (np.isnan(values) == (n_relevant == 0)).all()
        assert ((values[n_relevant > 0] >= 0) & (values[n_relevant > 0] <= 1)).all()


@given(st.integers(1, 200), st.integers(1, 300))
def test_an_ideal_list_scores_1(k: int, n_relevant: int) -> None:
    ideal = (np.arange(k) < n_relevant)[None, :]
    # Recall and precision have another best, which their files give.
    best = {"recall": min(k, n_relevant) / n_relevant, "precision": min(k, n_relevant) / k}
    for name, metric in RANKING.items():
        value = metric(ideal, np.array([n_relevant]), k)[0]
        assert value == pytest.approx(best.get(name, 1.0), abs=1e-12)
        assert value <= 1.0


@given(judged_lists(), st.randoms())
def test_the_order_of_users_never_matters(lists: tuple[np.ndarray, np.ndarray], random: object) -> None:
    is_hit, n_relevant = lists
    order = np.arange(n_relevant.size)
    random.shuffle(order)  # type: ignore[attr-defined]
    k = is_hit.shape[1]
    for metric in RANKING.values():
        np.testing.assert_array_equal(metric(is_hit, n_relevant, k)[order], metric(is_hit[order], n_relevant[order], k))
    shuffled = summarize(is_hit[order], n_relevant[order], ks=[1, k])
    assert shuffled == pytest.approx(summarize(is_hit, n_relevant, ks=[1, k]), abs=1e-12, nan_ok=True)


@given(judged_lists())
def test_moving_a_hit_forward_never_lowers_a_metric(lists: tuple[np.ndarray, np.ndarray]) -> None:
    is_hit, n_relevant = lists
    sorted_lists = -np.sort(-is_hit.astype(int), axis=1) > 0
    for metric in RANKING.values():
        before, after = (metric(x, n_relevant, is_hit.shape[1]) for x in (is_hit, sorted_lists))
        assert (np.isnan(before) | (after >= before - 1e-12)).all()


@given(judged_lists())
def test_places_after_the_cut_never_matter(lists: tuple[np.ndarray, np.ndarray]) -> None:
    is_hit, n_relevant = lists
    for k in range(1, is_hit.shape[1] + 1):
        for metric in RANKING.values():
            np.testing.assert_array_equal(metric(is_hit, n_relevant, k), metric(is_hit[:, :k], n_relevant, k))
