"""A fitted model: predictions, lists, and its place on disk, as `pyspark.ml.recommendation.ALSModel` has them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.ml import Model
from pyspark.ml.util import (
    DefaultParamsReader,
    DefaultParamsWriter,
    MLReadable,
    MLReader,
    MLWritable,
    MLWriter,
)
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T
from pyspark.sql.pandas.functions import arrow_udf

from marquee.top_k import top_k
from spark_jobs.als.params import ModelParams, refuse_wrong, with_accessors
from spark_jobs.factors import matrix


@dataclass(frozen=True)
class Summary:
    """How the fit went.

    Attributes:
        solver: the one that was used.
        iterations: for each its number, objective, validation error (or None) and seconds.
    """

    solver: str
    iterations: list[dict[str, Any]]


@with_accessors
class ALSModel(Model, ModelParams, MLWritable, MLReadable["ALSModel"]):  # type: ignore[misc]
    """A model fitted by `ALS`.

    Attributes:
        rank: number of factors.
        width: values of a row of features: `rank`, or two more where the fit had biases.
        userFactors, itemFactors: frames (id, features array<float>), ids of the type that they came in.
        summary: how the fit went.
    """

    def __init__(
        self,
        user_factors: DataFrame | None = None,
        item_factors: DataFrame | None = None,
        rank: int = 0,
        width: int = 0,
        solver: str = "",
        iterations: list[dict[str, Any]] | None = None,
    ) -> None:
        super().__init__()
        self._user_factors, self._item_factors, self.rank, self.width = user_factors, item_factors, rank, width
        self.summary = Summary(solver, list(iterations or []))
        self._kept: DataFrame | None = None
        self._setDefault(userCol="user", itemCol="item", coldStartStrategy="nan", predictionCol="prediction")

    @property
    def userFactors(self) -> DataFrame:  # noqa: N802 - Spark ML's convention
        """Frame (id, features)."""
        return _there(self._user_factors)

    @property
    def itemFactors(self) -> DataFrame:  # noqa: N802
        """Frame (id, features)."""
        return _there(self._item_factors)

    def unpersist(self) -> ALSModel:
        """Give back the storage that the fit's factors take; used again, both frames are computed again: the whole fit.

        Spark keeps what is persisted until it is told: a program that fits many models tells it of each that it is done
        with. A model that was read, or told already, has nothing to give back.
        """
        if self._kept is not None:
            self._kept.unpersist()
            self._kept = None
        return self

    def _transform(self, dataset: DataFrame) -> DataFrame:
        refuse_wrong(self)
        users = self.userFactors.select(F.col("id").alias("__user"), F.col("features").alias("__x"))
        items = self.itemFactors.select(F.col("id").alias("__item"), F.col("features").alias("__y"))
        name = self.getPredictionCol()
        joined = (
            dataset.join(users, dataset[self.getUserCol()] == users["__user"], "left")
            .join(items, dataset[self.getItemCol()] == items["__item"], "left")
            .select(*(dataset[column] for column in dataset.columns), _dot("__x", "__y").alias(name))
        )
        if self.getColdStartStrategy().lower() == "drop":
            return joined.where(~F.isnan(name))
        return joined

    def recommendForAllUsers(self, numItems: int) -> DataFrame:  # noqa: N802
        """The best items of each user: frame (user, recommendations array<struct<item, rating>>)."""
        return self._lists(self.userFactors, self.itemFactors, self.getUserCol(), self.getItemCol(), numItems)

    def recommendForAllItems(self, numUsers: int) -> DataFrame:  # noqa: N802
        """The best users of each item: frame (item, recommendations array<struct<user, rating>>)."""
        return self._lists(self.itemFactors, self.userFactors, self.getItemCol(), self.getUserCol(), numUsers)

    def recommendForUserSubset(self, dataset: DataFrame, numItems: int) -> DataFrame:  # noqa: N802
        """As `recommendForAllUsers`, for the distinct users of a frame that the model knows."""
        some = _known(self.userFactors, dataset, self.getUserCol())
        return self._lists(some, self.itemFactors, self.getUserCol(), self.getItemCol(), numItems)

    def recommendForItemSubset(self, dataset: DataFrame, numUsers: int) -> DataFrame:  # noqa: N802
        """As `recommendForAllItems`, for the distinct items of a frame that the model knows."""
        some = _known(self.itemFactors, dataset, self.getItemCol())
        return self._lists(some, self.userFactors, self.getItemCol(), self.getUserCol(), numUsers)

    def write(self) -> MLWriter:
        """A writer of the model: metadata, and both frames of factors as Parquet."""
        return _Writer(self)

    @classmethod
    def read(cls) -> MLReader[ALSModel]:
        """A reader of what `write` wrote."""
        return _Reader()

    def copy(self, extra: Any = None) -> ALSModel:
        """A copy with further parameters; both share the frames."""
        return super().copy(extra)  # type: ignore[no-any-return]

    def _lists(self, sources: DataFrame, targets: DataFrame, name: str, other: str, k: int) -> DataFrame:
        if k < 1:
            raise ValueError(f"The length of a list is {k}: it may be at least 1.")
        kind, other_kind = sources.schema["id"].dataType, targets.schema["id"].dataType
        entry = T.StructType([T.StructField(other, other_kind), T.StructField("rating", T.FloatType())])
        schema = T.StructType([T.StructField(name, kind), T.StructField("recommendations", T.ArrayType(entry))])
        table = targets.toArrow().sort_by("id")
        width = self.width
        held = sources.sparkSession.sparkContext.broadcast((table["id"].combine_chunks(), matrix(table, width)))

        def best(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            ids, factors = held.value
            for batch in batches:
                rows = matrix(pa.Table.from_batches([batch]), width)
                yield _as_lists(batch["id"], rows, ids, factors, k, name, other)

        return sources.mapInArrow(best, schema)


def _as_lists(
    sources: pa.Array, rows: np.ndarray, ids: pa.Array, factors: np.ndarray, k: int, name: str, other: str
) -> pa.RecordBatch:
    nothing_seen = np.zeros(len(rows) + 1, np.int64)
    items, scores = top_k(rows, factors, nothing_seen, np.empty(0, np.int32), k)
    is_there = items.ravel() >= 0
    entries = pa.StructArray.from_arrays(
        [ids.take(pa.array(items.ravel()[is_there])), pa.array(scores.ravel()[is_there].astype(np.float32))],
        names=[other, "rating"],
    )
    offsets = np.concatenate(([0], np.cumsum((items >= 0).sum(axis=1)))).astype(np.int32)
    return pa.RecordBatch.from_arrays(
        [sources, pa.ListArray.from_arrays(pa.array(offsets), entries)], [name, "recommendations"]
    )


def _known(factors: DataFrame, dataset: DataFrame, column: str) -> DataFrame:
    wanted = dataset.select(F.col(column).alias("id")).distinct()
    return factors.join(wanted, "id", "left_semi")


def _dot(left: str, right: str) -> Any:
    """The product of two columns of factors, as float; NaN where one is missing."""

    def product(x: pa.Array, y: pa.Array) -> pa.Array:
        is_there = x.is_valid().to_numpy(zero_copy_only=False) & y.is_valid().to_numpy(zero_copy_only=False)
        found = np.full(len(x), np.nan, np.float32)
        if is_there.any():
            mask = pa.array(is_there)
            rows, columns = (side.filter(mask).flatten().to_numpy().reshape(int(is_there.sum()), -1) for side in (x, y))
            found[is_there] = np.einsum("nk,nk->n", rows, columns)
        return pa.array(found)

    return arrow_udf(product, "float")(left, right)  # type: ignore[call-overload]


def _there(factors: DataFrame | None) -> DataFrame:
    if factors is None:
        raise ValueError("This model has no factors: fit one with ALS, or load one with ALSModel.load.")
    return factors


class _Writer(MLWriter):  # type: ignore[misc]
    def __init__(self, instance: ALSModel) -> None:
        super().__init__()
        self.instance = instance

    def saveImpl(self, path: str) -> None:  # noqa: N802
        model = self.instance
        about = {
            "rank": model.rank,
            "width": model.width,
            "solver": model.summary.solver,
            "iterations": model.summary.iterations,
        }
        DefaultParamsWriter.saveMetadata(model, path, self.sparkSession, extraMetadata=about)
        model.userFactors.write.parquet(f"{path}/userFactors")
        model.itemFactors.write.parquet(f"{path}/itemFactors")


class _Reader(MLReader[ALSModel]):  # type: ignore[misc]
    def load(self, path: str) -> ALSModel:
        metadata = DefaultParamsReader.loadMetadata(path, self.sparkSession)
        users, items = (self.sparkSession.read.parquet(f"{path}/{name}") for name in ("userFactors", "itemFactors"))
        model = ALSModel(users, items, metadata["rank"], metadata["width"], metadata["solver"], metadata["iterations"])
        model._resetUid(metadata["uid"])
        DefaultParamsReader.getAndSetParams(model, metadata)
        return model
