"""A fitted model against held-out ratings, in one pass over the lists, by the executors.

A task makes the lists of a block of users, compares them with what the users did next, and forgets them: what it hands
over is a row of figures a user, and how often each item was recommended. So memory does not grow with the lists.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pyspark.sql import SparkSession

from marquee.metrics import USER_SEGMENTS, Catalogue, auc, gini, per_user, user_segments
from spark_jobs.interactions import Seen
from spark_jobs.models.base import Fitted
from spark_jobs.scoring import UNFILTERED, finder, map_blocks

#: Scores of all items that AUC holds at once, as float32.
SCORES_OF_A_BLOCK = 4_000_000
#: Of a user's known items so many are compared with the others, to tell whether what is held out was known as well.
KNOWN_OF_A_USER = 20


@dataclass(frozen=True)
class Exam:
    """What all models of a training are asked, the same for each.

    Attributes:
        users: int64 (n,): indexes of the users who are judged, rising.
        relevant: their relevant test items, grouped as `Seen` over positions 0 to n - 1 of `users`.
        history: what each user has rated on the train side, over all users; left out of the lists.
        catalogue: what the train side knows of the items.
        k: length of the lists that models are compared by.
        ks: all lengths that figures are told for, rising; k is one of them.
    """

    users: np.ndarray
    relevant: Seen
    history: Seen
    catalogue: Catalogue
    k: int
    ks: tuple[int, ...]


@dataclass(frozen=True)
class Evaluation:
    """What a model came to.

    Attributes:
        users: a row a judged user, in the order of the exam: `user_index`, `segment`, `n_history`, `n_relevant`, every
            metric at k (NaN where the user has no value), `auc`, and `auc_known`, the same for what the model learned.
        figures: every metric at every k, as `ndcg_at_10`: means over the users who have a value; and `coverage_at_k`,
            `gini_at_k`, which have no users.
        recommended: int64 (n_items,): how many lists of length k hold the item.
    """

    users: pa.Table
    figures: dict[str, float]
    recommended: np.ndarray


def evaluate(spark: SparkSession, fitted: Fitted, exam: Exam) -> Evaluation:
    """Judge a model by an exam. The catalogue that coverage is a share of are the items of the train side."""
    held = spark.sparkContext.broadcast((fitted, exam))

    def work(blocks: Iterator[np.ndarray]) -> Iterator[pa.RecordBatch]:
        return judged_blocks(held.value[0], held.value[1], blocks)

    ddl = "user_index int, figures array<double>, sums array<double>, counts array<bigint>"
    table = map_blocks(spark, exam.users, work, ddl).toArrow()
    held.destroy()
    is_user = table["user_index"].is_valid()
    names = figure_names(exam)
    by_user = table.filter(is_user).sort_by("user_index")
    figures = _matrix(by_user["figures"], len(names))
    rest = table.filter(pa.compute.invert(is_user))
    sums = _matrix(rest["sums"], 2 * len(mean_names(exam))).sum(axis=0)
    counts = _matrix(rest["counts"], len(exam.ks) * len(exam.catalogue.n_ratings)).sum(axis=0).reshape(len(exam.ks), -1)
    n_history = np.diff(exam.history.indptr)[exam.users]
    segment = pa.DictionaryArray.from_arrays(pa.array(user_segments(n_history)), pa.array(USER_SEGMENTS))
    users = {
        "user_index": by_user["user_index"],
        "segment": segment.cast(pa.string()),
        "n_history": pa.array(n_history),
        "n_relevant": pa.array(np.diff(exam.relevant.indptr)),
        **{name: pa.array(figures[:, place]) for place, name in enumerate(names)},
    }
    return Evaluation(pa.table(users), _figures(exam, sums, counts), counts[exam.ks.index(exam.k)])


def judged_blocks(fitted: Fitted, exam: Exam, blocks: Iterator[np.ndarray]) -> Iterator[pa.RecordBatch]:
    """A task's work: a batch of users a block, and at last one row of sums and of items' counts."""
    k = exam.ks[-1]
    everybody = np.ones((len(fitted.user_factors), 1), np.float32)
    floor = exam.catalogue.n_ratings.astype(np.float32).reshape(-1, 1)
    find, expect = (
        finder(users, items, exam.history, UNFILTERED, k)
        for users, items in ((fitted.user_factors, fitted.item_factors), (everybody, floor))
    )
    n_items = len(exam.catalogue.n_ratings)
    sums, counts = np.zeros((2, len(mean_names(exam)))), np.zeros((len(exam.ks), n_items), np.int64)
    for block in blocks:
        lists, expected = find(block)[0], expect(block)[0]
        place = np.searchsorted(exam.users, block)
        relevant = rows_of(exam.relevant, place)
        values = per_user(lists, relevant, expected, exam.catalogue, list(exam.ks)) | aucs(
            fitted, exam, block, relevant
        )
        columns = np.stack([values[name] for name in mean_names(exam)])
        sums += [np.nansum(columns, axis=1), np.sum(~np.isnan(columns), axis=1)]
        for row, at in enumerate(exam.ks):
            counts[row] += np.bincount(lists[:, :at][lists[:, :at] >= 0], minlength=n_items)
        yield _batch(block, np.stack([values[name] for name in figure_names(exam)], axis=1))
    yield pa.RecordBatch.from_arrays(
        [
            pa.nulls(1, pa.int32()),
            pa.nulls(1, pa.list_(pa.float64())),
            pa.array([sums.ravel()]),
            pa.array([counts.ravel()]),
        ],
        names=["user_index", "figures", "sums", "counts"],
    )


def aucs(
    fitted: Fitted, exam: Exam, block: np.ndarray, relevant: tuple[np.ndarray, np.ndarray]
) -> dict[str, np.ndarray]:
    """AUC of what was held out, and of some of what was known, each against all items that are neither."""
    is_item = exam.catalogue.n_ratings > 0
    values = {"auc": np.full(len(block), np.nan), "auc_known": np.full(len(block), np.nan)}
    at_once = max(1, SCORES_OF_A_BLOCK // len(is_item))
    for start in range(0, len(block), at_once):
        at = slice(start, start + at_once)
        scores = fitted.user_factors[block[at]] @ fitted.item_factors.T
        known = rows_of(exam.history, block[at])
        wanted = rows_of(Seen(*relevant), np.arange(len(block))[at])
        values["auc"][at] = auc(scores, is_item, known, wanted)
        values["auc_known"][at] = auc(scores, is_item, wanted, thinned(known, KNOWN_OF_A_USER))
    return values


def rows_of(lists: Seen, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Some rows of lists, one after the other, as indptr and indices."""
    start, n = lists.indptr[rows], lists.indptr[rows + 1] - lists.indptr[rows]
    indptr = np.concatenate(([0], np.cumsum(n)))
    within = np.arange(indptr[-1]) - np.repeat(indptr[:-1], n)
    return indptr, lists.indices[np.repeat(start, n) + within]


def thinned(lists: tuple[np.ndarray, np.ndarray], most: int) -> tuple[np.ndarray, np.ndarray]:
    """At most so many of each row, evenly spaced over it."""
    indptr, indices = lists
    n = np.diff(indptr)
    fewer = np.minimum(n, most)
    ends = np.concatenate(([0], np.cumsum(fewer)))
    within = np.arange(ends[-1]) - np.repeat(ends[:-1], fewer)
    at = within * np.repeat(n, fewer) // np.maximum(np.repeat(fewer, fewer), 1)
    return ends, indices[np.repeat(indptr[:-1], fewer) + at]


def figure_names(exam: Exam) -> list[str]:
    """Columns of figures that a judged user's row has."""
    return [name for name in mean_names(exam) if name.endswith(f"_at_{exam.k}")] + ["auc", "auc_known"]


def mean_names(exam: Exam) -> list[str]:
    """Metrics that are means over users, in a fixed order."""
    empty = (np.zeros(1, np.int64), np.zeros(0, np.int32))
    nobody = np.zeros((0, exam.ks[-1]), np.int32)
    return list(per_user(nobody, empty, nobody, exam.catalogue, list(exam.ks)))


def _figures(exam: Exam, sums: np.ndarray, counts: np.ndarray) -> dict[str, float]:
    total, n = sums.reshape(2, -1)
    means = np.divide(total, n, out=np.full(len(n), np.nan), where=n > 0)
    figures = {name: float(mean) for name, mean in zip(mean_names(exam), means, strict=True)}
    is_item = exam.catalogue.n_ratings > 0
    for row, k in enumerate(exam.ks):
        figures[f"coverage_at_{k}"] = float(np.mean(counts[row][is_item] > 0)) if is_item.any() else float("nan")
        figures[f"gini_at_{k}"] = gini(counts[row][is_item])
    return figures


def _batch(block: np.ndarray, figures: np.ndarray) -> pa.RecordBatch:
    ends = pa.array(np.arange(len(block) + 1, dtype=np.int32) * figures.shape[1])
    n = len(block)
    return pa.RecordBatch.from_arrays(
        [
            pa.array(block, pa.int32()),
            pa.ListArray.from_arrays(ends, pa.array(figures.ravel())),
            pa.nulls(n, pa.list_(pa.float64())),
            pa.nulls(n, pa.list_(pa.int64())),
        ],
        names=["user_index", "figures", "sums", "counts"],
    )


def _matrix(column: pa.ChunkedArray, width: int) -> np.ndarray:
    return np.asarray(column.combine_chunks().flatten().to_numpy()).reshape(-1, width)
