"""A fitted model against held-out ratings: lists without seen items, compared with what the users did next."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pyspark.sql import SparkSession

from marquee import metrics
from marquee.metrics.coverage import coverage
from marquee.metrics.rmse import rmse
from spark_jobs.interactions import Seen
from spark_jobs.models.base import Fitted
from spark_jobs.scoring import map_lists


@dataclass(frozen=True)
class HeldOut:
    """The test side for users whom the training side knows.

    Attributes:
        users: int64 of shape (n,): their indexes, rising.
        relevant: their relevant test items, grouped as `Seen` over positions 0..n-1 of `users`.
    """

    users: np.ndarray
    relevant: Seen


@dataclass(frozen=True)
class Evaluation:
    """What a model did on the test side.

    Attributes:
        figures: metric at k -> value, as `ndcg_at_10`; and `coverage_at_10`.
        recommended: int32 of shape (n_users, k_max), -1 for none.
    """

    figures: dict[str, float]
    recommended: np.ndarray


def evaluate(spark: SparkSession, fitted: Fitted, train: Seen, held_out: HeldOut, ks: list[int]) -> Evaluation:
    """Lists of max(ks) items for each held-out user, and every metric at each k.

    The catalogue that coverage is a share of are the items of the training side.
    """
    k = max(ks)

    def to_rows(users: np.ndarray, items: np.ndarray, scores: np.ndarray) -> pa.RecordBatch:
        ends = pa.array(np.arange(0, items.size + 1, k, dtype=np.int32))
        lists = pa.ListArray.from_arrays(ends, pa.array(items.ravel()))
        return pa.RecordBatch.from_arrays([pa.array(users, pa.int32()), lists], names=["user_index", "items"])

    rows = map_lists(spark, fitted, train, held_out.users, k, to_rows, "user_index int, items array<int>").toArrow()
    rows = rows.sort_by("user_index")
    recommended = rows["items"].combine_chunks().flatten().to_numpy().reshape(-1, k)
    is_hit, n_relevant = metrics.mark(recommended, held_out.relevant.indptr, held_out.relevant.indices)
    figures = metrics.summarize(is_hit, n_relevant, ks)
    known = np.unique(train.indices)
    place = np.full(len(fitted.item_factors) + 1, -1, np.int64)  # the last is that of "none", which is -1 too
    place[known] = np.arange(len(known))
    figures |= {f"coverage_at_{at}": coverage(place[recommended[:, :at]], len(known)) for at in ks}
    return Evaluation(figures, recommended)


def rating_error(fitted: Fitted, users: np.ndarray, items: np.ndarray, rating: np.ndarray) -> float:
    """RMSE of predicted ratings for pairs of indexes that the training side knows; each array of shape (n,)."""
    predicted = np.einsum("nr,nr->n", fitted.user_factors[users], fitted.item_factors[items], dtype=np.float64)
    return rmse(rating, predicted)
