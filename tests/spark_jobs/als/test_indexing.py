"""Ids become indexes, and back, whatever they are and however many tasks number them."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from spark_jobs.als.blocks import Triples, own_rows
from spark_jobs.als.exchange import Alone, Exchange
from spark_jobs.als.indexing import find, number, start_factors

IDS = {
    "small": pa.array([5, 3, 5, 9, 3], pa.int64()),
    "wide": pa.array([2**62, -(2**62), 7, 2**62], pa.int64()),
    "text": pa.array(["b", "", "ü", "007", "7", "b", " b"]),
    "none": pa.array([], pa.int64()),
    "no text": pa.array([], pa.string()),
}


@pytest.mark.parametrize("name", IDS)
@pytest.mark.parametrize("n", [1, 3])
def test_an_index_leads_back_to_its_id(name: str, n: int, in_tasks: Any) -> None:
    ids = IDS[name]

    def task(exchange: Exchange) -> Any:
        mine = ids.slice(exchange.task) if exchange.task < len(ids) else ids.slice(0, 0)
        side, index = number(pa.chunked_array([mine.slice(0, 1), mine.slice(1)], ids.type), exchange)
        everyone = np.concatenate(exchange.all_gather(np.array([len(side.ids)], np.int64)))
        assert side.borders.tolist() == [0, *np.cumsum(everyone).tolist()]
        return mine.to_pylist(), index.tolist(), side.ids.to_pylist()

    done = in_tasks(n, task)
    by_index = [one for _, _, own in done for one in own]
    assert sorted(by_index) == sorted(set(ids.to_pylist()))
    for mine, index, _ in done:
        assert [by_index[at] for at in index] == mine


def test_an_unknown_id_is_found_nowhere(in_tasks: Any) -> None:
    def task(exchange: Exchange) -> Any:
        side, index = number(pa.chunked_array([pa.array(["a", "b", "c"])]), exchange)
        there = find(pa.chunked_array([pa.array(["c", "x", "a", "x"])]), side, exchange)
        return index.tolist(), there.tolist()

    for index, there in in_tasks(2, task):
        assert there == [index[2], -1, index[0], -1]


def test_a_start_depends_on_id_seed_and_rank_alone() -> None:
    ids = pa.array([f"user {n}" for n in range(2000)])
    whole = start_factors(ids, 7, 1, nonnegative=False)
    assert np.array_equal(start_factors(ids.slice(500, 3), 7, 1, nonnegative=False), whole[500:503])
    assert not np.allclose(start_factors(ids, 7, 2, nonnegative=False), whole)
    assert np.allclose(np.linalg.norm(whole, axis=1), 1, atol=1e-6)
    assert abs(whole.mean()) < 0.01  # in every direction alike
    assert np.abs(whole.T @ whole / len(ids) - np.eye(7) / 7).max() < 0.02
    assert (start_factors(ids, 7, 1, nonnegative=True) >= 0).all()
    assert whole.dtype == np.float32


@pytest.mark.parametrize("n", [1, 2, 4])
def test_every_rating_comes_to_its_user_and_to_its_item_in_one_order(n: int, in_tasks: Any) -> None:
    rng = random.Random(4)
    ratings = [(rng.randrange(30), f"i{rng.randrange(20)}", float(rng.randrange(9))) for _ in range(400)]

    def task(exchange: Exchange) -> Any:
        mine = ratings[exchange.task :: n]
        users, user = number(pa.chunked_array([pa.array([row[0] for row in mine], pa.int64())]), exchange)
        items, item = number(pa.chunked_array([pa.array([row[1] for row in mine])]), exchange)
        value = np.array([row[2] for row in mine], np.float32)
        return users, items, *own_rows(Triples(user, item, value), users, items, exchange)

    done = in_tasks(n, task)
    every_user = [one for users, *_ in done for one in users.ids.to_pylist()]
    every_item = [one for _, items, *_ in done for one in items.ids.to_pylist()]
    by_user, by_item = [], []
    for users, items, of_users, of_items in done:
        for place, user in enumerate(users.ids.to_pylist()):
            at = slice(of_users.indptr[place], of_users.indptr[place + 1])
            assert (np.diff(of_users.indices[at]) >= 0).all()
            by_user += [
                (user, every_item[i], float(v)) for i, v in zip(of_users.indices[at], of_users.values[at], strict=True)
            ]
        for place, item in enumerate(items.ids.to_pylist()):
            at = slice(of_items.indptr[place], of_items.indptr[place + 1])
            assert (np.diff(of_items.indices[at]) >= 0).all()
            by_item += [
                (every_user[u], item, float(v)) for u, v in zip(of_items.indices[at], of_items.values[at], strict=True)
            ]
    assert sorted(by_user) == sorted(by_item) == sorted(ratings)


def test_alone_is_what_one_task_sees() -> None:
    assert Alone().all_gather(np.ones(2))[0].tolist() == [1, 1]
