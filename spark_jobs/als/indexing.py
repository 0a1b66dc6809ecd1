"""Ids of any type become dense indexes, without a place that knows all of them.

Each id belongs to one task, by its hash: the task numbers its own ids in their order, and the tasks' numbers follow one
another. With one task the index is the place among all ids in order. The number of tasks changes which number an id
has, and nothing else: what a fit starts from depends on the ids themselves (`start_factors`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from spark_jobs.als.exchange import Exchange

#: Whole numbers whose span is at most this many times their count are numbered by a table of the span.
DENSE = 8
#: Ids whose start is computed together, in float64.
IDS_AT_ONCE = 65_536
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Side:
    """The users, or the items, of a fit, as one task sees them.

    Attributes:
        ids: the ids that this task owns, in order: int64 or string.
        borders: int64 of shape (n_tasks + 1,): task t owns the indexes from borders[t] up to borders[t + 1].
        task: this task's number.
    """

    ids: pa.Array
    borders: np.ndarray
    task: int

    @property
    def n(self) -> int:
        """How many there are in all."""
        return int(self.borders[-1])

    @property
    def first(self) -> int:
        """Index of the first of this task's own."""
        return int(self.borders[self.task])

    def owner_of(self, indices: np.ndarray) -> np.ndarray:
        """The tasks that own these indexes."""
        return np.searchsorted(self.borders, indices, side="right") - 1


def number(ids: pa.ChunkedArray, exchange: Exchange) -> tuple[Side, np.ndarray]:
    """Number the ids of all tasks.

    Args:
        ids: this task's rows: whole numbers, strings, or dictionaries of strings; without nulls.

    Returns:
        The side, and the index of each row, int32 of shape (n_rows,).
    """
    codes, own = factorize(ids)
    if exchange.n_tasks == 1:
        return Side(own, np.array([0, len(own)]), 0), codes
    by_owner = _by_owner(own, exchange.n_tasks)
    asked = exchange.all_to_all([pa.table({"id": own.take(pa.array(at))}) for at in by_owner])
    mine = distinct(pa.chunked_array([chunk for table in asked for chunk in table["id"].chunks], own.type))
    sizes = np.concatenate(exchange.all_gather(np.array([len(mine)], np.int64)))
    side = Side(mine, np.concatenate(([0], np.cumsum(sizes))), exchange.task)
    return side, _answered(asked, by_owner, side, exchange)[codes]


def find(ids: pa.ChunkedArray, side: Side, exchange: Exchange) -> np.ndarray:
    """The index of each id among those that were numbered, int32 of shape (n_rows,); -1 where it is none of them."""
    codes, own = factorize(ids)
    by_owner = _by_owner(own, exchange.n_tasks)
    asked = exchange.all_to_all([pa.table({"id": own.take(pa.array(at))}) for at in by_owner])
    return np.asarray(_answered(asked, by_owner, side, exchange)[codes])


def _by_owner(ids: pa.Array, n_tasks: int) -> list[np.ndarray]:
    """For each task the places of the ids that it owns."""
    owner = owners(ids, n_tasks)
    return [np.flatnonzero(owner == task) for task in range(n_tasks)]


def _answered(asked: list[pa.Table], by_owner: list[np.ndarray], side: Side, exchange: Exchange) -> np.ndarray:
    """Tell the others where the ids are that they asked for, and be told: index of each own id, -1 for unknown."""
    places = [pc.fill_null(pc.index_in(table["id"], value_set=side.ids), -1) for table in asked]
    told = exchange.all_to_all([pa.table({"at": place}) for place in places])
    index = np.empty(sum(map(len, by_owner)), np.int32)
    for task, at in enumerate(by_owner):
        place = told[task]["at"].to_numpy()
        index[at] = np.where(place >= 0, place + side.borders[task], -1)
    return index


def factorize(ids: pa.ChunkedArray) -> tuple[np.ndarray, pa.Array]:
    """Codes, int32 of shape (n,), into the distinct ids, which come in order."""
    if pa.types.is_integer(ids.type):
        return _factorize_integers(ids.to_numpy())
    if not pa.types.is_dictionary(ids.type):
        ids = ids.dictionary_encode()
    ids = ids.unify_dictionaries()
    if len(ids) == 0:
        return np.empty(0, np.int32), pa.array([], ids.type.value_type)
    dictionary = ids.chunk(0).dictionary
    codes = np.concatenate([chunk.indices.to_numpy() for chunk in ids.chunks])
    order = pc.array_sort_indices(dictionary).to_numpy()
    place = np.empty(len(order), np.int32)
    place[order] = np.arange(len(order), dtype=np.int32)
    # A dictionary may name ids that no row has.
    is_used = np.zeros(len(order), bool)
    is_used[codes] = True
    used = is_used[order]
    rank = np.cumsum(used, dtype=np.int32) - 1
    return rank[place[codes]], dictionary.take(pa.array(order[used]))


def distinct(ids: pa.ChunkedArray) -> pa.Array:
    """The distinct ids, in order."""
    unique = pc.unique(ids)
    return unique.take(pc.array_sort_indices(unique))


def hashes(ids: pa.Array) -> np.ndarray:
    """A hash of each id that is the same in every process: uint64 of shape (n,)."""
    values = ids.to_numpy() if pa.types.is_integer(ids.type) else ids.to_numpy(zero_copy_only=False).astype(object)
    return np.asarray(pd.util.hash_array(values, categorize=False))


def owners(ids: pa.Array, n_tasks: int) -> np.ndarray:
    """The task that each id belongs to, int64 of shape (n,)."""
    if n_tasks == 1:
        return np.zeros(len(ids), np.int64)
    return (hashes(ids) % np.uint64(n_tasks)).astype(np.int64)


def start_factors(ids: pa.Array, rank: int, seed: int, nonnegative: bool) -> np.ndarray:
    """Where the iterations begin: random directions of length 1, float32 of shape (n, rank).

    As Spark ML does it, normal variates made one long; nonnegative ones are folded into the first quadrant. A
    direction is a function of the id, the seed and the rank alone (splitmix64, Steele, Lea and Flood, OOPSLA 2014, on
    the id's hash, and the transform of Box and Muller, 1958).
    """
    start = np.empty((len(ids), rank), np.float32)
    for first in range(0, len(ids), IDS_AT_ONCE):
        some = hashes(ids.slice(first, IDS_AT_ONCE))
        start[first : first + IDS_AT_ONCE] = _directions(some, rank, seed, nonnegative)
    return start


def _directions(hashed: np.ndarray, rank: int, seed: int, nonnegative: bool) -> np.ndarray:
    with np.errstate(over="ignore"):
        state = mixed(hashed ^ mixed(np.full(1, seed, np.int64).astype(np.uint64) + _GOLDEN))[:, None]
        steps = np.arange(1, 2 * ((rank + 1) // 2) + 1, dtype=np.uint64) * _GOLDEN
        uniform = (mixed(state + steps[None, :]) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    radius = np.sqrt(-2.0 * np.log1p(-uniform[:, 0::2]))
    angle = 2.0 * np.pi * uniform[:, 1::2]
    normal = np.concatenate((radius * np.cos(angle), radius * np.sin(angle)), axis=1)[:, :rank]
    if nonnegative:
        normal = np.abs(normal)
    norm = np.linalg.norm(normal, axis=1, keepdims=True)
    return (normal / np.where(norm > 0, norm, 1.0)).astype(np.float32)


def mixed(z: np.ndarray) -> np.ndarray:
    """The finalizer of splitmix64, uint64."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ (z >> np.uint64(31)))


def _factorize_integers(values: np.ndarray) -> tuple[np.ndarray, pa.Array]:
    if len(values) == 0:
        return np.empty(0, np.int32), pa.array([], pa.int64())
    low, high = int(values.min()), int(values.max())
    values = values.astype(np.int64, copy=False) if high - low > 2**31 else values
    if high - low < DENSE * len(values) + 1024:
        shifted = values - low
        is_there = np.zeros(high - low + 1, bool)
        is_there[shifted] = True
        place = np.cumsum(is_there, dtype=np.int32) - np.int32(1)
        return place[shifted], pa.array(np.flatnonzero(is_there) + low, pa.int64())
    codes, unique = pd.factorize(values)
    order = np.argsort(unique)
    place = np.empty(len(order), np.int32)
    place[order] = np.arange(len(order), dtype=np.int32)
    return place[codes], pa.array(unique[order].astype(np.int64))
