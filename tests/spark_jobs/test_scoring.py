"""Lists computed in the executors are those of the kernel in this process, to the last bit, whatever the blocks."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession

from marquee.top_k import ItemLists, best_of, catalogue_of, similar_items
from spark_jobs import scoring
from spark_jobs.interactions import Seen, seen_of
from spark_jobs.models.base import Fitted

N_USERS, N_ITEMS, K = 90, 70, 8
DDL = "row int, items array<int>, scores array<double>"


def to_rows(rows: np.ndarray, items: np.ndarray, scores: np.ndarray) -> pa.RecordBatch:
    ends = pa.array(np.arange(0, items.size + 1, K, dtype=np.int32))
    lists = [pa.ListArray.from_arrays(ends, pa.array(array.ravel())) for array in (items, scores)]
    return pa.RecordBatch.from_arrays([pa.array(rows, pa.int32()), *lists], names=["row", "items", "scores"])


def lists_of(frame: DataFrame) -> tuple[list[int], bytes, bytes]:
    """Rows in order, their items and their scores."""
    table = frame.toArrow().sort_by("row")
    flat = [table[name].combine_chunks().flatten().to_numpy() for name in ("items", "scores")]
    return table["row"].to_pylist(), flat[0].tobytes(), flat[1].tobytes()


def model() -> tuple[Fitted, list[Seen]]:
    """Factors, and three groups of random items of each user."""
    rng = np.random.default_rng(5)
    users, items = (rng.standard_normal((n, 6)).astype(np.float32) for n in (N_USERS, N_ITEMS))
    items[10:20] = items[:10]  # twins: equal scores
    pairs = [np.nonzero(rng.random((N_USERS, N_ITEMS)) < share) for share in (0.3, 0.1, 0.5)]
    return Fitted("als", users, items), [seen_of(user, item, N_USERS) for user, item in pairs]


@pytest.mark.parametrize("n_batch", [7, 64, 4096])
@pytest.mark.parametrize("is_filtered", [False, True], ids=["seen", "all filters"])
def test_lists_of_users(spark: SparkSession, monkeypatch: pytest.MonkeyPatch, n_batch: int, is_filtered: bool) -> None:
    monkeypatch.setattr(scoring, "ROWS_OF_A_BATCH", n_batch)
    fitted, (seen, denied, allowed) = model()
    users = np.arange(N_USERS)[::2]
    allow, deny = np.arange(60), np.array([3, 12])
    filters = scoring.Filters(allow, deny, allowed, denied) if is_filtered else scoring.UNFILTERED
    found = lists_of(scoring.map_lists(spark, fitted, seen, users, K, to_rows, DDL, filters))
    catalogue = catalogue_of(fitted.item_factors, allow=filters.allow, deny=filters.deny)
    items, scores = best_of(
        catalogue, fitted.user_factors, K, users=users, seen=ItemLists(seen.indptr, seen.indices),
        deny=ItemLists(denied.indptr, denied.indices) if is_filtered else None,
        allow=ItemLists(allowed.indptr, allowed.indices) if is_filtered else None,
    )  # fmt: skip
    assert found == (users.tolist(), items.tobytes(), scores.tobytes())


@pytest.mark.parametrize("n_batch", [7, 4096])
def test_similar_items(spark: SparkSession, monkeypatch: pytest.MonkeyPatch, n_batch: int) -> None:
    monkeypatch.setattr(scoring, "ROWS_OF_A_BATCH", n_batch)
    fitted, _ = model()
    found = lists_of(scoring.map_similar(spark, fitted, K, to_rows, DDL))
    items, cosines = similar_items(fitted.item_factors, K)
    assert found == (list(range(N_ITEMS)), items.tobytes(), cosines.tobytes())
    assert items[:10, 0].tolist() == list(range(10, 20)) and (items != np.arange(N_ITEMS)[:, np.newaxis]).all()


def test_nobody(spark: SparkSession) -> None:
    fitted, (seen, _, _) = model()
    assert scoring.map_lists(spark, fitted, seen, np.arange(0), K, to_rows, DDL).toArrow().num_rows == 0
