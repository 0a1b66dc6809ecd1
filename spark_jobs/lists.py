"""The published lists of a model: rows of blocks of users, within a task of `spark_jobs/score.py`.

Not in that file: what Spark broadcasts has to be found in the executors by the name of its module, and theirs is not
the script.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from expectations.contracts import RECOMMENDATIONS
from expectations.schema import arrow_schema
from marquee.errors import TrainingError
from marquee.explanations import explainer_of, reasons
from marquee.recommender_files import RecommenderFiles
from spark_jobs.interactions import Seen
from spark_jobs.scoring import UNFILTERED, finder

#: Of a share, which is a part of 1: enough to read, and it packs well.
DECIMALS = 4


@dataclass(frozen=True)
class Published:
    """Makes rows of blocks of users, within a task and on one thread."""

    files: RecommenderFiles

    def by_model(self, blocks: Iterator[np.ndarray], k: int) -> Iterator[pa.RecordBatch]:
        """Lists by the factors, with the items of the history that speak for each row."""
        files, explainer = self.files, explainer_of(self.files)
        if files.user_factors is None or files.item_factors is None:
            raise TrainingError(f"The model of source {files.source} has no factors: train it again.")
        find = finder(files.user_factors, files.item_factors, self._seen, UNFILTERED, k)
        for block in blocks:
            items, scores = find(block)
            told = None if explainer is None else reasons(explainer, block, items, scores)
            yield self._rows(block, items, scores, files.source, told)

    def by_popularity(self, blocks: Iterator[np.ndarray], k: int) -> Iterator[pa.RecordBatch]:
        """Lists of the most rated items: a model of rank 1 in which every user has the factor 1."""
        n_ratings = self.files.n_ratings.astype(np.float32).reshape(-1, 1)
        find = finder(np.ones((len(self.files.user_ids), 1), np.float32), n_ratings, self._seen, UNFILTERED, k)
        return (self._rows(block, *find(block), "popular", None) for block in blocks)

    @property
    def _seen(self) -> Seen:
        return Seen(self.files.seen_indptr, self.files.seen_indices)

    def _rows(
        self,
        users: np.ndarray,
        items: np.ndarray,
        scores: np.ndarray,
        source: str,
        told: tuple[np.ndarray, np.ndarray] | None,
    ) -> pa.RecordBatch:
        """Lists (n, k) as rows by the contract; `told`: items of the history and shares (n, k, 3)."""
        files, schema, k = self.files, arrow_schema(RECOMMENDATIONS), items.shape[1]
        is_there = items.ravel() >= 0
        chosen = pa.array(items.ravel()[is_there])
        columns = {
            "user_id": files.user_ids.take(pa.array(np.repeat(users, k)[is_there])),
            "position": pa.array(np.tile(np.arange(1, k + 1), len(users))[is_there]),
            "item_id": files.item_ids.take(chosen),
            "title": files.titles.take(chosen),
            "score": pa.array(scores.ravel()[is_there]),
            "source": pa.repeat(pa.scalar(source), len(chosen)),
            "because": self._because(told, is_there),
        }
        arrays = [columns[field.name].cast(field.type) for field in schema]
        return pa.RecordBatch.from_arrays(arrays, schema=schema)

    def _because(self, told: tuple[np.ndarray, np.ndarray] | None, is_there: np.ndarray) -> pa.Array:
        """The reasons of each row, as lists of records."""
        files, n_rows = self.files, int(is_there.sum())
        history, shares = (
            (np.full((n_rows, 0), -1), np.zeros((n_rows, 0)))
            if told is None
            else (array.reshape(len(is_there), -1)[is_there] for array in told)
        )
        is_named = history >= 0
        named = pa.array(history[is_named])
        values = [files.item_ids.take(named), files.titles.take(named), pa.array(shares[is_named].round(DECIMALS))]
        ends = np.concatenate(([0], np.cumsum(is_named.sum(axis=1)))).astype(np.int32)
        return pa.ListArray.from_arrays(ends, pa.StructArray.from_arrays(values, ["item_id", "title", "share"]))
