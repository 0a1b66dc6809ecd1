"""The k best unseen items, beside a stable argsort of one user's scores after the other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marquee import top_k as module
from marquee.top_k import best_of, blocks, top_k


def slow_top_k(
    user_factors: np.ndarray, item_factors: np.ndarray, indptr: np.ndarray, indices: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """One user at a time; a stable argsort leaves equal scores in the order of the items."""
    all_items, all_scores = [], []
    for user, factors in enumerate(user_factors):
        scores = item_factors.astype(float) @ factors.astype(float)
        seen = set(indices[indptr[user] : indptr[user + 1]].tolist())
        order = [item for item in np.argsort(-scores, kind="stable") if item not in seen][:k]
        missing = k - len(order)
        all_items.append([*order, *[-1] * missing])
        all_scores.append([*scores[order], *[np.nan] * missing])
    return np.array(all_items).reshape(-1, k), np.array(all_scores).reshape(-1, k)


def case(n_users: int, n_items: int, rank: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Small whole factors: products are exact in float32, and many scores are equal."""
    rng = np.random.default_rng(seed)
    share = rng.choice([0.0, 0.3, 0.9, 1.0], size=n_users)
    seen = [np.flatnonzero(rng.random(n_items) < share[user]) for user in range(n_users)]
    return (
        rng.integers(-2, 3, (n_users, rank)).astype(np.float32),
        rng.integers(-2, 3, (n_items, rank)).astype(np.float32),
        np.cumsum([0, *(len(items) for items in seen)]).astype(np.int64),
        np.concatenate([np.zeros(0, np.int64), *seen]).astype(np.int32),
    )


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 9), st.integers(1, 40), st.integers(1, 4), st.integers(1, 50), st.integers(0, 2**32 - 1))
def test_as_a_stable_argsort(n_users: int, n_items: int, rank: int, k: int, seed: int) -> None:
    given_case = case(n_users, n_items, rank, seed)
    items, scores = top_k(*given_case, k)
    slow_items, slow_scores = slow_top_k(*given_case, k)
    assert items.dtype == np.int32 and scores.dtype == np.float64 and items.shape == scores.shape == (n_users, k)
    np.testing.assert_array_equal(items, slow_items)
    np.testing.assert_array_equal(scores, slow_scores)


def test_the_size_of_a_block_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    given_case = case(50, 30, 3, 7)
    whole = top_k(*given_case, 5)
    monkeypatch.setattr(module, "SCORES_OF_A_BLOCK", 100)
    in_blocks = top_k(*given_case, 5)
    np.testing.assert_array_equal(whole[0], in_blocks[0])
    np.testing.assert_array_equal(whole[1], in_blocks[1])


def test_by_eye() -> None:
    items = np.array([[1], [3], [3], [2], [0]], np.float32)
    users = np.array([[1], [-1], [0]], np.float32)
    # the first user has seen item 1, the second nothing, the third all but items 4 and 2
    indptr, seen = np.array([0, 1, 1, 4]), np.array([1, 0, 1, 3], np.int32)
    found, scores = top_k(users, items, indptr, seen, 3)
    assert found.tolist() == [[2, 3, 0], [4, 0, 3], [2, 4, -1]]
    np.testing.assert_array_equal(scores, [[3, 2, 1], [0, -1, -2], [0, 0, np.nan]])


def test_blocks_cover_every_user_once() -> None:
    for n_users, n_items in ((0, 10), (1, 10), (10_000, 9_742), (5, 50_000_000)):
        covered = [user for start, stop in blocks(n_users, n_items) for user in range(start, stop)]
        assert covered == list(range(n_users))


@given(st.integers(1, 6), st.integers(1, 30), st.integers(0, 2**32 - 1), st.data())
def test_the_best_columns(n_rows: int, n_columns: int, seed: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(1, n_columns))
    scores = np.random.default_rng(seed).choice([-np.inf, -1.0, 0.0, 0.5, 2.0], (n_rows, n_columns)).astype(np.float32)
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(best_of(scores, k), expected)
