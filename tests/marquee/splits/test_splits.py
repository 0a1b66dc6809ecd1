"""Every protocol: what it promises, on data of any shape."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marquee.errors import TrainingError
from marquee.splits import Sizes, Split, by_time, k_fold, leave_last, published, random_within, sizes, strong

Data = tuple[np.ndarray, np.ndarray, np.ndarray]


@st.composite
def ratings(draw: st.DrawFn) -> Data:
    """Users, items and times of ratings; each pair once, in any order."""
    pairs = draw(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 12)), min_size=1, max_size=60, unique=True))
    times = draw(st.lists(st.integers(0, 20), min_size=len(pairs), max_size=len(pairs)))
    user, item = np.array(pairs, np.int64).T
    return user, item, np.array(times, np.int64)


PROTOCOLS: dict[str, Callable[[Data], Split]] = {
    "time": lambda data: by_time(data[2], 10),
    "leave-last": lambda data: leave_last(*data, n=2),
    "random-within-user": lambda data: random_within(data[0], data[1], 0.25, seed=3),
    "random-within-item": lambda data: random_within(data[0], data[1], 0.25, seed=3, within="item"),
    "k-fold": lambda data: k_fold(data[0], data[1], 3, 1, seed=3),
    "strong": lambda data: strong(data[0], data[1], 0.4, 0.8, seed=3),
}


@pytest.mark.parametrize("name", PROTOCOLS)
@given(ratings(), st.randoms(use_true_random=False))
def test_sides_share_no_row_and_the_order_of_the_rows_does_not_matter(name: str, data: Data, random: object) -> None:
    order = np.arange(len(data[0]))
    random.shuffle(order)  # type: ignore[attr-defined]
    try:
        split = PROTOCOLS[name](data)
    except TrainingError as error:
        with pytest.raises(TrainingError, match="leaves no rating for"):
            PROTOCOLS[name](tuple(column[order] for column in data))  # type: ignore[arg-type]
        assert "leaves no rating for" in str(error)
        return
    assert split.about["protocol"] == name
    sides = [split.is_train, split.is_test, *([split.is_fold_in] if split.is_fold_in is not None else [])]
    assert np.sum(sides, axis=0).max() == 1 and all(side.any() for side in sides[:2])
    assert not np.any(split.is_history & split.is_test)
    shuffled = PROTOCOLS[name](tuple(column[order] for column in data))  # type: ignore[arg-type]
    assert np.array_equal(shuffled.is_train, split.is_train[order])
    assert np.array_equal(shuffled.is_test, split.is_test[order])


@given(ratings(), st.integers(1, 3))
def test_of_each_user_the_last_ones_are_left_out(data: Data, n: int) -> None:
    user, _, rated_at = data
    try:
        split = leave_last(*data, n=n)
    except TrainingError:
        assert np.bincount(user).max() <= n
        return
    for one in np.unique(user):
        of_user = user == one
        before, after = rated_at[of_user & split.is_train], rated_at[of_user & split.is_test]
        assert len(after) == (n if of_user.sum() > n else 0)
        assert not len(after) or before.max() <= after.min()


@given(ratings(), st.sampled_from(["user", "item"]), st.floats(0.05, 0.95))
def test_a_share_of_each_is_left_out_and_one_stays(data: Data, within: str, share: float) -> None:
    group = data[0] if within == "user" else data[1]
    try:
        split = random_within(data[0], data[1], share, seed=1, within=within)
    except TrainingError:
        return
    for one in np.unique(group):
        of_one = group == one
        n_test = int((of_one & split.is_test).sum())
        assert n_test < of_one.sum() and abs(n_test - share * of_one.sum()) <= max(0.5, share)


@given(ratings(), st.integers(2, 4))
def test_every_rating_is_test_in_one_fold(data: Data, folds: int) -> None:
    times_test = np.zeros(len(data[0]), int)
    for fold in range(folds):
        try:
            split = k_fold(data[0], data[1], folds, fold, seed=5)
        except TrainingError:
            return
        times_test += split.is_test
        assert np.array_equal(split.is_train, ~split.is_test)
    assert np.all(times_test == 1)


@given(ratings())
def test_a_held_out_user_is_unknown_while_a_model_learns(data: Data) -> None:
    user = data[0]
    try:
        split = strong(data[0], data[1], 0.3, 0.5, seed=2)
    except TrainingError:
        return
    assert split.is_fold_in is not None
    held_out = set(user[split.is_test])
    assert held_out == set(user[split.is_fold_in]) and not held_out & set(user[split.is_train])


def test_another_seed_is_another_split_of_the_same_size() -> None:
    user, item = (index.ravel() for index in np.indices((40, 50)))
    one, other = (random_within(user, item, 0.25, seed) for seed in (1, 2))
    assert one.is_test.sum() == other.is_test.sum() == 40 * 13  # 12.5 is rounded up
    assert 0.15 < np.mean(one.is_test & other.is_test) / np.mean(one.is_test) < 0.35  # a quarter by chance
    per_item = np.bincount(item[one.is_test], minlength=50)
    assert per_item.std() < 2 * np.sqrt(40 * 0.25 * 0.75)  # as if drawn: nothing of the item's number is in it
    folds = [k_fold(user, item, 5, fold, seed=1).is_test.sum() for fold in range(5)]
    assert max(folds) - min(folds) < 120


def test_published_sides_are_found_again() -> None:
    user, item = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 2])
    split = published(user, item, (np.array([1, 0]), np.array([2, 0])), "u1")
    assert split.is_test.tolist() == [True, False, False, True]
    assert split.about == {"protocol": "published", "fold": "u1"}
    with pytest.raises(TrainingError, match=r"1 of 2 ratings of the published test side u1 .*the first is row 2"):
        published(user, item, (np.array([0, 1]), np.array([0, 1])), "u1")
    with pytest.raises(TrainingError, match="1 of 1 ratings"):
        published(user, item, (np.array([-1]), np.array([0])), "u1")


def test_sizes_by_eye() -> None:
    user = np.array([0, 0, 0, 1, 1, 2])
    item = np.array([0, 1, 2, 0, 3, 0])
    split = Split(np.array([1, 1, 0, 1, 0, 0], bool), np.array([0, 0, 1, 0, 1, 1], bool))
    # test: (0, 2) and (1, 3) of cold items, (2, 0) of a cold user
    assert sizes(split, user, item) == Sizes(
        train_ratings=3, train_users=2, train_items=2, test_ratings=3, test_ratings_warm=0,
        test_ratings_of_cold_users=1, test_ratings_of_cold_items=2, test_users=3, test_users_cold=1, test_items_cold=2,
    )  # fmt: skip
    folded_in = Split(split.is_train, split.is_test & (user == 0), {}, split.is_test & (user == 2))
    assert sizes(folded_in, user, item).test_users_cold == 0


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda u, i, t: random_within(u, i, 1.0, 1), "test share is 1.0, but it must lie between 0 and 1"),
        (lambda u, i, t: random_within(u, i, 0.01, 1), "leaves no rating for test out of 4"),
        (lambda u, i, t: leave_last(u, i, t, 0), "number of ratings to leave out is 0"),
        (lambda u, i, t: leave_last(u, i, t, 5), "The leave-last split leaves no rating for test out of 4"),
        (lambda u, i, t: k_fold(u, i, 1, 0, 1), "number of folds is 1"),
        (lambda u, i, t: k_fold(u, i, 3, 3, 1), "There is no fold 3: the 3 folds are numbered from 0 to 2"),
        (lambda u, i, t: strong(u, i, 0.0, 0.5, 1), "share of held-out users is 0.0"),
        (lambda u, i, t: strong(u, i, 0.5, float("nan"), 1), "share of their ratings to fold in is nan"),
        (lambda u, i, t: by_time(t, 99), "The time split leaves no rating for test out of 4"),
    ],
)
def test_refusals(make: Callable[..., Split], said: str) -> None:
    user, item, rated_at = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), np.arange(4)
    with pytest.raises(TrainingError, match=said):
        make(user, item, rated_at)
    with pytest.raises(ValueError, match="not within 'week'"):
        random_within(user, item, 0.5, 1, within="week")
