"""Lists in the executors: blocks of users or items, the arrays broadcast; a batch of rows as each block is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from spark_jobs.interactions import Seen
from spark_jobs.models.base import Fitted

#: Rows of factors whose lists are computed, and leave the task, together.
ROWS_OF_A_BATCH = 4096

#: Gets a block's rows (n,), item indexes int32 (n, k; -1 for none) and scores float64 (n, k; NaN for none).
ToRows = Callable[[np.ndarray, np.ndarray, np.ndarray], pa.RecordBatch]


@dataclass(frozen=True)
class Filters:
    """What lists may hold besides unseen items; None: no such filter.

    Attributes:
        allow, deny: items that are in lists, and items that are not, int, for all users.
        user_allow, user_deny: the same for each user, grouped as `Seen`; who has no item in `user_allow` gets none.
    """

    allow: np.ndarray | None = None
    deny: np.ndarray | None = None
    user_allow: Seen | None = None
    user_deny: Seen | None = None


UNFILTERED = Filters()


def map_lists(
    spark: SparkSession,
    fitted: Fitted,
    seen: Seen,
    users: np.ndarray,
    k: int,
    to_rows: ToRows,
    ddl: str,
    filters: Filters = UNFILTERED,
) -> DataFrame:
    """Compute the k best unseen items of each user, and turn each block of lists into rows of the schema `ddl`.

    Args:
        users: int, shape (n,): indexes of the users to compute lists for.
        to_rows: makes a batch of a block's users and their lists.
        filters: what else lists may hold.
    """
    arrays = spark.sparkContext.broadcast((fitted.user_factors, fitted.item_factors, seen, filters))

    def work(blocks: Iterator[np.ndarray]) -> Iterator[pa.RecordBatch]:
        user_factors, item_factors, seen, filters = arrays.value
        find = finder(user_factors, item_factors, seen, filters, k)
        return (to_rows(block, *find(block)) for block in blocks)

    return map_blocks(spark, users, work, ddl)


def finder(
    user_factors: np.ndarray, item_factors: np.ndarray, seen: Seen, filters: Filters, k: int
) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """A function that finds the lists of a block of users, within a task and on one thread."""
    from marquee.top_k import ItemLists, best_of, catalogue_of

    catalogue = catalogue_of(item_factors, allow=filters.allow, deny=filters.deny)
    seen_items, denied, allowed = (
        None if lists is None else ItemLists(lists.indptr, lists.indices)
        for lists in (seen, filters.user_deny, filters.user_allow)
    )
    return lambda block: best_of(
        catalogue, user_factors, k, users=block, seen=seen_items, deny=denied, allow=allowed, threads=1
    )


def map_similar(spark: SparkSession, fitted: Fitted, k: int, to_rows: ToRows, ddl: str) -> DataFrame:
    """Compute the k other items most similar to each (cosine of the factors), as rows of the schema `ddl`.

    Args:
        to_rows: makes a batch of a block's items and their lists.
    """
    factors = spark.sparkContext.broadcast(fitted.item_factors)

    def work(blocks: Iterator[np.ndarray]) -> Iterator[pa.RecordBatch]:
        from marquee.top_k import catalogue_of, similar_of

        catalogue = catalogue_of(factors.value, measure="cosine")
        return (to_rows(block, *similar_of(catalogue, k, items=block, threads=1)) for block in blocks)

    return map_blocks(spark, np.arange(len(fitted.item_factors)), work, ddl)


def map_blocks(
    spark: SparkSession, rows: np.ndarray, work: Callable[[Iterator[np.ndarray]], Iterator[pa.RecordBatch]], ddl: str
) -> DataFrame:
    """Rows of the schema `ddl`: `work` is called once a task, with the blocks of `rows` that fall to it."""
    wanted = spark.sparkContext.broadcast(rows)
    size = ROWS_OF_A_BATCH
    starts = range(0, len(rows), size)

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        mine = [start for batch in batches for start in batch["start"].to_pylist()]
        if mine:
            yield from work(wanted.value[start : start + size] for start in mine)

    cores = spark.sparkContext.defaultParallelism
    blocks = spark.createDataFrame(pa.table({"start": pa.array(starts, pa.int32())}))
    return blocks.repartition(max(1, min(cores, len(starts)))).mapInArrow(run, ddl)
