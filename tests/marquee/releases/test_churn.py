"""Churn, against the definitions written out for one pair of lists."""

from __future__ import annotations

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marquee.releases.churn import P, churn

LISTS = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=6, unique=True)


def rbo(left: list[str], right: list[str], k: int) -> float:
    """RBO_EXT as Webber, Moffat and Zobel write it, depth by depth."""
    left, right = left[:k], right[:k]
    n = max(len(left), len(right))
    common = [len(set(left[:depth]) & set(right[:depth])) for depth in range(1, n + 1)]
    agreed = sum(x / depth * P**depth for depth, x in enumerate(common, start=1))
    return common[-1] / n * P**n + (1 - P) / P * agreed


def jaccard(left: list[str], right: list[str], k: int) -> float:
    return len(set(left[:k]) & set(right[:k])) / len(set(left[:k]) | set(right[:k]))


def table(of_users: list[list[str]]) -> pa.Table:
    rows = [
        {"user_id": f"u{user}", "position": place, "item_id": item}
        for user, items in enumerate(of_users)
        for place, item in enumerate(items, start=1)
    ]
    return pa.Table.from_pylist(rows)


@settings(deadline=None)
@given(st.lists(st.tuples(LISTS, LISTS), min_size=1, max_size=4), st.integers(1, 7))
def test_means_are_those_of_the_definitions(pairs: list[tuple[list[str], list[str]]], k: int) -> None:
    with duckdb.connect() as connection:
        connection.register("before", table([left for left, _ in pairs]))
        connection.register("now", table([right for _, right in pairs]))
        found = churn(connection, "before", "now", k)
    n = len(pairs)
    assert found.n_users == n
    assert found.jaccard == pytest.approx(sum(jaccard(*pair, k) for pair in pairs) / n)
    assert found.rbo == pytest.approx(sum(rbo(*pair, k) for pair in pairs) / n)


def test_the_same_lists_and_lists_of_other_users() -> None:
    with duckdb.connect() as connection:
        connection.register("before", table([["a", "b"], ["c"]]))
        connection.register("others", table([["a", "b"]]).set_column(0, "user_id", pa.array(["x", "x"])))
        same = churn(connection, "before", "before", 10)
        none = churn(connection, "before", "others", 10)
    assert (same.jaccard, same.rbo, same.n_users) == (1.0, pytest.approx(1.0), 2)
    assert (none.jaccard, none.rbo, none.n_users) == (None, None, 0)
