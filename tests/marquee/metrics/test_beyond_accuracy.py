"""Novelty, diversity, serendipity, popularity and its bias, AUC: beside plain definitions, scikit-learn, and by eye."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import mean_absolute_error, roc_auc_score
from sklearn.metrics.pairwise import cosine_distances

from marquee.metrics import (
    auc,
    diversity,
    gini,
    is_tail,
    item_segments,
    long_tail,
    mae,
    novelty,
    popularity,
    serendipity,
    user_segments,
)

N_USERS, N_ITEMS, K = 40, 30, 8


@pytest.fixture(scope="module")
def lists() -> np.ndarray:
    """Lists of 0 to 8 items, no item twice in one."""
    rng = np.random.default_rng(5)
    recommended = np.argsort(rng.random((N_USERS, N_ITEMS)), axis=1)[:, :K]
    recommended[np.arange(K) >= rng.integers(0, K + 1, (N_USERS, 1))] = -1
    recommended[0], recommended[1, 1:] = -1, -1
    return recommended


def filled(row: np.ndarray, k: int) -> list[int]:
    return [int(item) for item in row[:k] if item >= 0]


@pytest.mark.parametrize("k", [1, 3, K])
def test_means_over_places_are_their_definitions(lists: np.ndarray, k: int) -> None:
    n_ratings = np.random.default_rng(6).integers(0, 50, N_ITEMS)
    tail = is_tail(n_ratings)
    for row, bits, known, share in zip(
        lists, novelty(lists, n_ratings, 60, k), popularity(lists, n_ratings, k), long_tail(lists, tail, k), strict=True
    ):
        items = filled(row, k)
        if not items:
            assert math.isnan(bits) and math.isnan(known) and math.isnan(share)
            continue
        assert bits == pytest.approx(np.mean([-math.log2(max(1, n_ratings[i]) / 60) for i in items]), abs=1e-9)
        assert known == pytest.approx(np.mean([n_ratings[i] for i in items]), abs=1e-9)
        assert share == pytest.approx(np.mean([tail[i] for i in items]), abs=1e-9)


@pytest.mark.parametrize("k", [1, 3, K])
def test_diversity_is_the_mean_cosine_distance_of_scikit_learn(lists: np.ndarray, k: int) -> None:
    vectors = (np.random.default_rng(7).random((N_ITEMS, 6)) < 0.3).astype(float)
    distance = cosine_distances(vectors)
    np.fill_diagonal(distance, np.nan)
    for row, value in zip(lists, diversity(lists, vectors, k), strict=True):
        pairs = [distance[i, j] for i, j in combinations(filled(row, k), 2)]
        assert math.isnan(value) if not pairs else value == pytest.approx(np.mean(pairs), abs=1e-9)


def test_a_surprise_is_a_hit_that_the_floor_lacks() -> None:
    is_hit = np.array([[True, True, False], [True, False, False], [False, False, False]])
    recommended, expected = np.array([[4, 7, 1], [2, 3, -1], [5, 6, 7]]), np.array([[7, 9, 4], [0, 1, -1], [5, 6, 7]])
    n_relevant = np.array([3, 1, 0])
    found = serendipity(is_hit, n_relevant, recommended, expected, 2)
    assert found[:2].tolist() == [0.5, 0.5] and math.isnan(found[2])  # within the first two the floor has not item 4
    assert serendipity(is_hit, n_relevant, recommended, expected, 3)[:2].tolist() == [0.0, pytest.approx(1 / 3)]
    assert serendipity(is_hit, n_relevant, recommended, recommended, 3)[:2].tolist() == [0.0, 0.0]


@given(st.lists(st.integers(0, 30), min_size=1, max_size=30))
def test_gini_is_half_the_mean_difference_by_the_mean(counts: list[int]) -> None:
    values = np.array(counts)
    found = gini(values)
    if values.sum() == 0:
        assert math.isnan(found)
        return
    differences = np.abs(values[:, None] - values[None, :]).mean()
    assert found == pytest.approx(differences / (2 * values.mean()), abs=1e-9)
    assert 0 <= found < 1


def test_gini_by_eye() -> None:
    assert gini(np.full(10, 3)) == 0
    assert gini(np.array([0] * 9 + [5])) == pytest.approx(0.9)


def test_auc_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(8)
    scores = np.round(rng.normal(size=(N_USERS, N_ITEMS)), 1).astype(np.float32)  # with ties
    is_item = rng.random(N_ITEMS) < 0.9
    drawn = rng.random((N_USERS, N_ITEMS))
    is_seen, is_relevant = drawn < 0.2, (drawn > 0.75)
    is_relevant[0] = False
    scores[1, np.flatnonzero(is_item & ~is_seen[1])[0]] = np.nan

    def csr(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.concatenate(([0], matrix.sum(axis=1).cumsum())), np.nonzero(matrix)[1]

    found = auc(scores, is_item, csr(is_seen), csr(is_relevant | is_seen))  # what is seen does not count as relevant
    assert math.isnan(found[0]) and math.isnan(found[1])
    for user in range(2, N_USERS):
        at = is_item & ~is_seen[user]
        assert found[user] == pytest.approx(roc_auc_score(is_relevant[user, at], scores[user, at]), abs=1e-9)
    ideal = auc(is_relevant.astype(np.float32), is_item, csr(is_seen), csr(is_relevant))
    assert np.nanmin(ideal) == 1.0


def test_mae_of_scikit_learn() -> None:
    true, predicted = np.random.default_rng(3).uniform(0.5, 5.0, (2, 1000))
    assert mae(true, predicted) == pytest.approx(mean_absolute_error(true, predicted), abs=1e-9)
    assert math.isnan(mae([], [])) and math.isnan(mae([1.0], [math.nan]))
    with pytest.raises(ValueError, match="two vectors of one length"):
        mae([1.0], [1.0, 2.0])


@given(st.lists(st.integers(0, 50), min_size=1, max_size=40))
def test_the_head_is_the_smallest_set_that_holds_its_share(n_ratings: list[int]) -> None:
    counts = np.array(n_ratings)
    tail = is_tail(counts)
    if counts.sum() == 0:
        assert tail.all()
        return
    head = np.sort(counts[~tail])
    assert head.sum() >= 0.8 * counts.sum() - 1e-9 > head[1:].sum() - 1e-6
    assert not tail.any() or head[0] >= counts[tail].max()
    assert np.array_equal(item_segments(counts) == 2, tail)


def test_segments_by_eye() -> None:
    assert user_segments(np.array([1, 2, 3, 10, 20, 30])).tolist() == [0, 0, 1, 1, 2, 2]
    assert user_segments(np.array([5, 5, 5, 5])).tolist() == [0, 0, 0, 0]
    assert user_segments(np.zeros(0, np.int64)).tolist() == []
    assert item_segments(np.array([50, 30, 10, 10])).tolist() == [0, 1, 2, 2]
