"""Settling a bucket: of several ratings of a user and item one stays, and the rest are told why they don't.

The latest stays; of the same time the last in the order of the files and lines; without times the last altogether.
Where the source's ratings add up, one row stays with their sum, and none is refused.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from marquee.sources.reading import Repeated
from spark_jobs.buckets import one_array

NO_TIME = -1


@dataclass(frozen=True)
class Bucket:
    """A settled bucket.

    Attributes:
        ratings: user_id and item_id (dictionaries in the order of their texts), rating, rated_at (int64 microseconds),
            line, member; sorted by user, then item; no pair twice.
        lost: member, line, reason and sentence of the rows that do not stay.
        n_merged: rows that were added up into another one.
    """

    ratings: pa.Table
    lost: pa.Table
    n_merged: int


def settle(rows: pa.Table, repeated: Repeated, names: list[str]) -> Bucket:
    """Settle the ratings of a bucket, which come in any order.

    Args:
        rows: the columns of `spark_jobs.narrow.RATINGS`.
        names: the members' names, for sentences.
    """
    rows = rows.unify_dictionaries().combine_chunks()
    user, item = (ordered_codes(rows[name]) for name in ("user_id", "item_id"))
    key = user.codes * len(item.values) + item.codes
    order, is_last = order_of(key, rows)
    kept, losing = order[is_last], order[~is_last]
    rating = rows["rating"].to_numpy()
    n_merged = 0
    lost = _none_lost()
    if len(losing):
        if repeated == "sum":
            starts = np.concatenate(([0], np.flatnonzero(is_last)[:-1] + 1))
            summed = np.add.reduceat(rating[order], starts)
            rating = rating.copy()
            rating[kept] = summed
            n_merged = len(losing)
        else:
            winner_of = kept[np.searchsorted(np.flatnonzero(is_last), np.flatnonzero(~is_last))]
            lost = _lost(rows, losing, winner_of, names)
    at = pa.array(kept)
    ratings = pa.table(
        {
            "user_id": user.array(kept),
            "item_id": item.array(kept),
            "rating": pa.array(rating[kept]),
            "rated_at": rows["rated_at"].take(at),
            "line": rows["line"].take(at),
            "member": rows["member"].take(at),
        }
    )
    return Bucket(ratings, lost, n_merged)


@dataclass(frozen=True)
class Coded:
    """Texts as `codes` (int64 of shape (n,)) into `values`, which are sorted."""

    codes: NDArray[np.int64]
    values: pa.Array

    def array(self, at: NDArray[np.int64]) -> pa.DictionaryArray:
        return pa.DictionaryArray.from_arrays(pa.array(self.codes[at].astype(np.int32)), self.values)


def ordered_codes(ids: pa.ChunkedArray) -> Coded:
    """A column of dictionaries as codes whose order is that of the texts; every value is used."""
    encoded = one_array(ids)
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    used = np.flatnonzero(np.bincount(codes, minlength=len(encoded.dictionary)))
    values = encoded.dictionary.take(pa.array(used))
    order = pc.sort_indices(values).to_numpy()
    rank = np.zeros(len(encoded.dictionary), np.int64)
    rank[used[order]] = np.arange(len(order))
    return Coded(rank[codes], values.take(pa.array(order)))


def order_of(key: NDArray[np.int64], rows: pa.Table) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The rows in the order of their keys, and which of them are the ones that stay: the last of each key.

    Repeated keys are rare, so all rows are sorted by key and position alone, as one number, and only the repeated ones
    by what decides between them.
    """
    n = len(key)
    if n == 0:
        return np.zeros(0, np.int64), np.zeros(0, bool)
    bits = int(n - 1).bit_length()
    if int(key.max()).bit_length() + bits < 63:
        both = (key << bits) | np.arange(n)
        both.sort()
        order, ordered = both & ((1 << bits) - 1), both >> bits
    else:
        order = np.argsort(key, kind="stable")
        ordered = key[order]
    is_last = np.ones(n, bool)
    is_last[:-1] = ordered[1:] != ordered[:-1]
    if not is_last.all():
        is_first = np.concatenate(([True], is_last[:-1]))
        repeated = np.flatnonzero(~(is_last & is_first))
        among = order[repeated]
        member, line = (rows[name].to_numpy()[among] for name in ("member", "line"))
        order[repeated] = among[np.lexsort((line, member, times(rows)[among], ordered[repeated]))]
    return order, is_last


def times(rows: pa.Table) -> NDArray[np.int64]:
    return np.asarray(pc.fill_null(rows["rated_at"], NO_TIME).to_numpy(), np.int64)


def _lost(rows: pa.Table, losing: NDArray[np.int64], winner_of: NDArray[np.int64], names: list[str]) -> pa.Table:
    when, rating = times(rows), rows["rating"].to_numpy()
    member, line = (rows[name].to_numpy() for name in ("member", "line"))
    is_same_rating = rating[losing] == rating[winner_of]
    is_same_time = when[losing] == when[winner_of]
    has_time = when[losing] != NO_TIME
    reasons = np.where(
        is_same_time & is_same_rating,
        "duplicate",
        np.where(is_same_time & has_time, "conflicting_duplicate", "superseded"),
    )
    words = {
        "duplicate": "the same user, item, time and rating come again in line {line}{file}",
        "conflicting_duplicate": "the same user, item and time have another rating in line {line}{file}",
        "superseded": "the same user and item have a later rating in line {line}{file}",
    }
    sentences = [
        words[reason].format(line=line[to], file="" if member[to] == member[at] else f" of {names[member[to]]}")
        for reason, at, to in zip(reasons.tolist(), losing.tolist(), winner_of.tolist(), strict=True)
    ]
    return pa.table(
        {
            "member": pa.array(member[losing], pa.int32()),
            "line": pa.array(line[losing], pa.int64()),
            "reason": pa.array(reasons.tolist(), pa.string()),
            "sentence": pa.array(sentences, pa.string()),
        }
    )


def _none_lost() -> pa.Table:
    return pa.table(
        {
            "member": pa.array([], pa.int32()),
            "line": pa.array([], pa.int64()),
            "reason": pa.array([], pa.string()),
            "sentence": pa.array([], pa.string()),
        }
    )
