"""Ratings, each known by the indexes of its user and item, brought to the tasks that own their rows."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numba
import numpy as np
import pyarrow as pa

from spark_jobs.als.exchange import Exchange
from spark_jobs.als.indexing import Side
from spark_jobs.als.kernels import Rows


@dataclass(frozen=True)
class Triples:
    """Ratings as arrays of shape (n,): indexes of users and items over all tasks, int32, and float32 values."""

    user: np.ndarray
    item: np.ndarray
    value: np.ndarray


def own_rows(ratings: Triples, users: Side, items: Side, exchange: Exchange) -> tuple[Rows, Rows]:
    """The rows of this task's users over all items, and those of its items over all users.

    The ratings of a row are in the order of the other side's indexes, whatever order they came in.
    """
    of_users = brought(ratings.user, ratings.item, ratings.value, users, exchange)
    of_items = brought(ratings.item, ratings.user, ratings.value, items, exchange)
    with ThreadPoolExecutor(2) as both:
        first = both.submit(rows_of, *of_users, len(users.ids), items.n)
        second = both.submit(rows_of, *of_items, len(items.ids), users.n)
        return first.result(), second.result()


def brought(
    row: np.ndarray, other: np.ndarray, value: np.ndarray, side: Side, exchange: Exchange
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The ratings whose row this task owns, the row as its place among the task's own: arrays of shape (n,)."""
    if exchange.n_tasks == 1:
        return row, other, value
    owner = side.owner_of(row)
    tables = []
    for task in range(exchange.n_tasks):
        at = np.flatnonzero(owner == task)
        local = row[at] - np.int32(side.borders[task])
        tables.append(pa.table({"row": local, "other": other[at], "value": value[at]}))
    got = exchange.all_to_all(tables)
    return _column(got, "row", np.int32), _column(got, "other", np.int32), _column(got, "value", np.float32)


def rows_of(row: np.ndarray, other: np.ndarray, value: np.ndarray, n_rows: int, n_other: int) -> Rows:
    """Compressed sparse rows, sorted within a row, by two stable counting sorts; repeated pairs stay apart."""
    counts = np.bincount(other, minlength=n_other)
    row_by_other, value_by_other = _sorted_by(other, row, value, _starts(counts))
    other_by_other = np.repeat(np.arange(n_other, dtype=np.int32), counts)
    indptr = _starts(np.bincount(row, minlength=n_rows))
    indices, values = _sorted_by(row_by_other, other_by_other, value_by_other, indptr)
    return Rows(indptr, indices, values)


def _starts(counts: np.ndarray) -> np.ndarray:
    """Where each key's values begin: int64 of shape (n_keys + 1,)."""
    return np.concatenate(([0], np.cumsum(counts))).astype(np.int64)


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _sorted_by(
    key: np.ndarray, index: np.ndarray, value: np.ndarray, starts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Index and value in the order of the key; equal keys stay in their order. All of shape (n,)."""
    at = starts.copy()
    sorted_index = np.empty(len(index), np.int32)
    sorted_value = np.empty(len(value), np.float32)
    for place in range(len(key)):
        to = at[key[place]]
        sorted_index[to] = index[place]
        sorted_value[to] = value[place]
        at[key[place]] = to + 1
    return sorted_index, sorted_value


def _column(tables: Sequence[pa.Table], name: str, dtype: type) -> np.ndarray:
    """A column of several tables as one array."""
    return np.concatenate([table[name].to_numpy() for table in tables]).astype(dtype, copy=False)
