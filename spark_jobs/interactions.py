"""From the lake's ratings to dense indexes, and back to the ids that people gave."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from spark_jobs.lake_source import read_table


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
class Seen:
    """The items of each user, as the index arrays of a CSR matrix of shape (n_users, n_items).

    Attributes:
        indptr: int64 of shape (n_users + 1,).
        indices: int32 of shape (n_ratings,), rising within a user.
    """

    indptr: np.ndarray
    indices: np.ndarray


def read_ratings(spark: SparkSession, version: int) -> DataFrame:
    """The ratings of a pinned version: of several batches' ratings of an item by a user, the latest."""
    ratings = read_table(
        spark, "ratings", version, ["user_id", "item_id", "rating", "rated_at", "source_sha256", "source_line"]
    )
    same_pair = Window.partitionBy("user_id", "item_id").orderBy(
        F.col("rated_at").desc(), F.col("source_sha256").desc(), F.col("source_line").desc()
    )
    return (
        ratings.withColumn("place", F.row_number().over(same_pair))
        .filter(F.col("place") == 1)
        .select("user_id", "item_id", "rating", "rated_at")
    )


def index_of(ratings: DataFrame) -> Index:
    """The ids in the ratings, sorted."""

    def ids(column: str) -> pa.Array:
        return ratings.select(column).distinct().toArrow()[column].combine_chunks().cast(pa.string()).sort()

    return Index(ids("user_id"), ids("item_id"))


def indexed(spark: SparkSession, ratings: DataFrame, index: Index) -> DataFrame:
    """Columns `user_index`, `item_index`, `rating`, `rated_at` (microseconds since 1970)."""

    def numbered(ids: pa.Array, key: str, name: str) -> DataFrame:
        return spark.createDataFrame(pa.table({key: ids, name: pa.array(np.arange(len(ids), dtype=np.int32))}))

    return (
        ratings.join(F.broadcast(numbered(index.users, "user_id", "user_index")), on="user_id", how="inner")
        .join(F.broadcast(numbered(index.items, "item_id", "item_index")), on="item_id", how="inner")
        .select("user_index", "item_index", "rating", F.unix_micros("rated_at").alias("rated_at"))
    )


def seen_of(user_index: np.ndarray, item_index: np.ndarray, n_users: int) -> Seen:
    """Group pairs of indexes (int, shape (n,)) by user."""
    order = np.lexsort((item_index, user_index))
    counts = np.bincount(user_index, minlength=n_users)
    indptr = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
    return Seen(indptr, item_index[order].astype(np.int32))
