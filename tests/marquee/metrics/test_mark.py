"""Which places of the lists are hits."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marquee.metrics import mark


def test_by_eye() -> None:
    recommended = np.array([[4, 2, 9], [7, -1, -1], [1, 2, 3], [5, 6, 7]])
    relevant = [[9, 4], [8], [], [6, 7, 5, 1]]
    indptr = np.array([0, 2, 3, 3, 7])
    is_hit, n_relevant = mark(recommended, indptr, np.array(list(chain(*relevant))))
    assert is_hit.tolist() == [[True, False, True], [False] * 3, [False] * 3, [True] * 3]
    assert n_relevant.tolist() == [2, 1, 0, 4]


@given(st.lists(st.tuples(st.sets(st.integers(0, 9)), st.permutations(range(10))), max_size=6), st.integers(1, 10))
def test_as_looking_each_item_up(users: list[tuple[set[int], list[int]]], k: int) -> None:
    relevant = [sorted(items) for items, _ in users]
    indptr = np.cumsum([0] + [len(items) for items in relevant])
    lists = np.array([order[:k] for _, order in users], dtype=np.int32).reshape(len(users), k)
    is_hit, n_relevant = mark(lists, indptr, np.array(list(chain(*relevant)), dtype=np.int32))
    assert is_hit.tolist() == [[item in items for item in order[:k]] for items, order in users]
    assert n_relevant.tolist() == [len(items) for items in relevant]


def test_an_item_twice_in_a_list_is_refused() -> None:
    with pytest.raises(ValueError, match="Row 1 of the lists holds item 3 twice"):
        mark(np.array([[1, 2, 3], [3, 1, 3]]), np.array([0, 1, 2]), np.array([1, 3]))


def test_rows_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="do not fit 1 lists"):
        mark(np.array([[1, 2]]), np.array([0, 1, 2]), np.array([1, 3]))
