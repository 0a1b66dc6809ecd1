"""From the lake's ratings to dense indexes, and back to the ids that people gave."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_jobs.lake_source import read_table
from spark_jobs.models.base import Interactions

#: Share of all ratings, the latest, by which items are popular now.
RECENT_SHARE = 0.1


@dataclass(frozen=True)
class Index:
    """Ids in the order of their dense indexes; sorted, so that the same data gives the same indexes.

    Attributes:
        users: string ids, length n_users.
        items: string ids, length n_items.
    """

    users: pa.Array
    items: pa.Array


@dataclass(frozen=True)
class Collected:
    """All ratings as arrays of shape (n_ratings,), in any order.

    Attributes:
        user_index, item_index: int32, places in `index`.
        rating: float64.
        rated_at: int64, microseconds since 1970, UTC.
    """

    index: Index
    user_index: np.ndarray
    item_index: np.ndarray
    rating: np.ndarray
    rated_at: np.ndarray

    def where(self, is_in: np.ndarray) -> Collected:
        """The ratings where `is_in` (bool of shape (n_ratings,)) is set, by the same indexes."""
        columns = (self.user_index, self.item_index, self.rating, self.rated_at)
        return Collected(self.index, *(column[is_in] for column in columns))

    def interactions(self, spark: SparkSession, is_in: np.ndarray | None = None) -> Interactions:
        """The ratings, or those where `is_in` (bool of shape (n_ratings,)) is set, as Spark takes them."""
        at = slice(None) if is_in is None else is_in
        columns = {"user_index": self.user_index[at], "item_index": self.item_index[at], "rating": self.rating[at]}
        frame = spark.createDataFrame(pa.table(columns))
        return Interactions(frame, len(self.index.users), len(self.index.items))

    def seen(self, is_in: np.ndarray | None = None) -> Seen:
        """The items of each user, of all ratings or of those where `is_in` is set."""
        at = slice(None) if is_in is None else is_in
        return seen_of(self.user_index[at], self.item_index[at], len(self.index.users))

    def by_user(self) -> np.ndarray:
        """float32: all ratings in the order of `seen().indices`."""
        return self.rating[np.lexsort((self.item_index, self.user_index))].astype(np.float32)

    def recent(self) -> np.ndarray:
        """int64 (n_items,): how many of the latest ratings each item has; the latest are a tenth, and equals."""
        since = np.quantile(self.rated_at, 1 - RECENT_SHARE, method="lower")
        return np.bincount(self.item_index[self.rated_at >= since], minlength=len(self.index.items)).astype(np.int64)


@dataclass(frozen=True)
class Seen:
    """The items of each user, as the index arrays of a CSR matrix of shape (n_users, n_items).

    Attributes:
        indptr: int64 of shape (n_users + 1,).
        indices: int32 of shape (n_ratings,), rising within a user.
    """

    indptr: np.ndarray
    indices: np.ndarray


def read_ratings(spark: SparkSession, version: int) -> DataFrame:
    """The ratings of a pinned version; of an item by a user there is one (`marquee.lake.current_view`)."""
    return read_table(spark, "ratings", version, ["user_id", "item_id", "rating", "rated_at"])


def collect(ratings: DataFrame) -> Collected:
    """Bring the ratings to the driver once, and number users and items.

    About 30 bytes a rating, ids included: the model's own list of what each user has rated takes a good part of that
    anyway. One query, where numbering within Spark took six, each with its own start-up.
    """
    table = ratings.select("user_id", "item_id", "rating", F.unix_micros("rated_at").alias("rated_at")).toArrow()
    users, items = (pc.unique(table[name]).cast(pa.string()).sort() for name in ("user_id", "item_id"))
    return Collected(
        index=Index(users, items),
        user_index=pc.index_in(table["user_id"].cast(pa.string()), value_set=users).to_numpy(),
        item_index=pc.index_in(table["item_id"].cast(pa.string()), value_set=items).to_numpy(),
        rating=table["rating"].to_numpy(),
        rated_at=table["rated_at"].to_numpy(),
    )


def seen_of(user_index: np.ndarray, item_index: np.ndarray, n_users: int) -> Seen:
    """Group pairs of indexes (int, shape (n,)) by user."""
    order = np.lexsort((item_index, user_index))
    counts = np.bincount(user_index, minlength=n_users)
    indptr = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
    return Seen(indptr, item_index[order].astype(np.int32))
