"""Top-K lists in the executors: blocks of users, the arrays broadcast."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from marquee.top_k import top_k
from spark_jobs.interactions import Seen
from spark_jobs.models.base import Fitted

USERS_OF_A_BLOCK = 4096
Lists = Callable[[np.ndarray, np.ndarray, np.ndarray], pa.RecordBatch]


def map_lists(
    spark: SparkSession, fitted: Fitted, seen: Seen, users: np.ndarray, k: int, to_rows: Lists, ddl: str
) -> DataFrame:
    """Compute the k best unseen items of each user, and turn each block of lists into rows of the schema `ddl`.

    Args:
        users: int, shape (n,): indexes of the users to compute lists for.
        to_rows: gets a block's users (n,), item indexes (n, k; -1 for none) and scores (n, k; NaN for none).
    """
    arrays = spark.sparkContext.broadcast((fitted.user_factors, fitted.item_factors, seen.indptr, seen.indices))
    starts = [(start, min(start + USERS_OF_A_BLOCK, len(users))) for start in range(0, len(users), USERS_OF_A_BLOCK)]
    wanted = spark.sparkContext.broadcast(users)

    def score(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        user_factors, item_factors, indptr, indices = arrays.value
        for batch in batches:
            for block in batch.to_pylist():
                at = wanted.value[block["start"] : block["stop"]]
                rows = [indices[indptr[user] : indptr[user + 1]] for user in at]
                block_indptr = np.concatenate(([0], np.cumsum([len(row) for row in rows]))).astype(np.int64)
                block_indices = np.concatenate(rows) if rows else indices[:0]
                items, scores = top_k(user_factors[at], item_factors, block_indptr, block_indices, k)
                yield to_rows(at, items, scores)

    cores = spark.sparkContext.defaultParallelism
    blocks = spark.createDataFrame(starts, "start int, stop int").repartition(max(1, min(cores, len(starts))))
    return blocks.mapInArrow(score, ddl)
