"""The driver's part of a fit: packs the ratings, runs the barrier stage, and hears how it goes."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import pyarrow as pa
from pyspark import StorageLevel, TaskContext
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T
from pyspark.sql.pandas.types import from_arrow_schema

from marquee.errors import TrainingError
from spark_jobs.als import fit_task, packing
from spark_jobs.als.checkpoint import remove
from spark_jobs.als.plan import Plan
from spark_jobs.als.progress import Ear, Listener
from spark_jobs.job import sentence_of

ADAPTIVE = "spark.sql.adaptive.enabled"
#: Whole numbers of any width; ids are these, or strings.
WHOLE = (T.ByteType, T.ShortType, T.IntegerType, T.LongType)


@dataclass(frozen=True)
class Request:
    """A fit as the estimator asks for it.

    Attributes:
        plan: what to do.
        columns: of user, item and rating; an empty name of the rating stands for 1 everywhere.
        validation: column that is true where a rating is put aside; empty for none.
        n_tasks: of the barrier stage; 0 for as many as there are slots, of which a local master has one.
        patience: seconds that a task waits for another.
        checkpoints: folder; empty for none.
        storage: where the factors are kept.
        warm: the item factors (id, features) that the fit begins with.
    """

    plan: Plan
    columns: tuple[str, str, str]
    validation: str
    n_tasks: int
    patience: float
    checkpoints: str
    storage: StorageLevel
    warm: DataFrame | None = None


@dataclass(frozen=True)
class Result:
    """Factors as frames (id, features), how the fit went, and what Spark keeps of it for both frames."""

    user_factors: DataFrame
    item_factors: DataFrame
    kept: DataFrame
    solver: str
    iterations: list[dict[str, Any]]


def fit(ratings: DataFrame, request: Request, hear: Callable[[dict[str, Any]], None]) -> Result:
    """Run the fit.

    Args:
        hear: is told of each iteration as soon as it is over.

    Raises:
        TrainingError: an id is missing, a rating is no finite number, or there is none.
    """
    spark = ratings.sparkSession
    types = [id_type(ratings, column) for column in request.columns[:2]]
    arrow_types = tuple(pa.int64() if isinstance(one, WHOLE) else pa.string() for one in types)
    n_tasks, threads = slots(spark, request.n_tasks)
    checkpoints = f"{request.checkpoints.rstrip('/')}/als-{uuid4().hex}" if request.checkpoints else ""
    errand = fit_task.Errand(
        plan=replace(request.plan, threads=threads),
        id_types=(arrow_types[0], arrow_types[1]),
        token=secrets.token_hex(32),
        patience=request.patience,
        checkpoints=checkpoints,
        is_warm=request.warm is not None,
    )
    schema = from_arrow_schema(fit_task.factor_schema(errand.id_types))
    with listening(spark, lambda told: hear(json.loads(told))) as ear, setting(spark, ADAPTIVE, "false"):
        frames = packed(ratings, request, types).repartitionById(n_tasks, F.col("slot") % n_tasks)

        def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            return fit_task.run(errand, batches, ear.tell if ear else lambda _: None)

        fitted = frames.mapInArrow(run, schema, barrier=True)
        # Spark refuses to read a part of what comes out of a barrier stage: a shuffle ends it.
        rows = fitted.repartition(max(1, spark.sparkContext.defaultParallelism), "user", "item").persist(
            request.storage
        )
        with sentences():
            told = json.loads(rows.where(F.col("fit").isNotNull()).select("fit").collect()[0]["fit"])
    if checkpoints:
        remove(checkpoints)
    user_factors, item_factors = (
        rows.where(F.col(side).isNotNull()).select(F.col(side).cast(dtype).alias("id"), "features")
        for side, dtype in zip(("user", "item"), types, strict=True)
    )
    return Result(user_factors, item_factors, rows, told["solver"], told["iterations"])


def packed(ratings: DataFrame, request: Request, types: list[T.DataType]) -> DataFrame:
    """The ratings, those put aside, and the factors to begin with, as frames (slot, kind, frame)."""
    user, item, rating = request.columns
    wanted = ratings.select(
        as_id(ratings, user, types[0]).alias("user"),
        as_id(ratings, item, types[1]).alias("item"),
        (F.col(rating).cast("float") if rating else F.lit(1.0).cast("float")).alias("rating"),
        *([F.col(request.validation).cast("boolean").alias("is_validation")] if request.validation else []),
    )
    if request.validation:
        is_aside = F.coalesce(F.col("is_validation"), F.lit(False))
        learned, aside = wanted.where(~is_aside), wanted.where(is_aside)
        frames = _frames(learned, packing.RATINGS, (user, item)).unionByName(
            _frames(aside, packing.VALIDATION, (user, item))
        )
    else:
        frames = _frames(wanted, packing.RATINGS, (user, item))
    if request.warm is None:
        return frames
    known = request.warm.select(as_id(request.warm, "id", types[1]).alias("id"), "features")
    return frames.unionByName(known.mapInArrow(_pack_factors, packing.FRAMES))


def id_type(frame: DataFrame, column: str) -> T.DataType:
    """The type of a column of ids.

    Raises:
        ValueError: there is no such column, or ids can't be of its type.
    """
    if column not in frame.columns:
        raise ValueError(f"Column {column!r} does not exist: the frame has {', '.join(map(repr, frame.columns))}.")
    dtype = frame.schema[column].dataType
    if not isinstance(dtype, (*WHOLE, T.StringType, T.FractionalType)):
        raise ValueError(
            f"Column {column!r} of ids is of type {dtype.simpleString()}: it may be whole numbers or strings."
        )
    return T.LongType() if isinstance(dtype, T.FractionalType) else dtype


def as_id(frame: DataFrame, column: str, dtype: T.DataType) -> Column:
    """Ids as they travel to the tasks: int, bigint or string. A fraction is refused, as by Spark ML."""
    given = F.col(column)
    if isinstance(frame.schema[column].dataType, T.FractionalType):
        whole = given.cast("bigint")
        says = F.concat(F.lit(f"ALS only supports whole numbers and strings as ids: column {column} has "), given)
        return F.when(given.isNull() | (whole == given), whole).otherwise(F.raise_error(says).cast("bigint"))
    if isinstance(dtype, T.LongType):
        return given.cast("bigint")
    return given.cast("int" if isinstance(dtype, WHOLE) else "string")


def slots(spark: SparkSession, asked: int) -> tuple[int, int]:
    """Tasks of the fit, and threads of each.

    A local master's cores are one task's threads, which need no exchange. A cluster's tasks get what
    `spark.task.cpus` gives them.
    """
    context = spark.sparkContext
    cores = context.defaultParallelism
    if str(context.master).startswith("local"):
        if asked > cores:
            raise ValueError(
                f"ALS parameter numTasks is {asked}, but this local Spark runs {cores} tasks at once, and those of a "
                "fit run together: ask for fewer, or for 0."
            )
        return max(1, asked), max(1, cores // max(1, asked))
    cpus = int(str(spark.conf.get("spark.task.cpus", "1")))
    return asked or max(1, cores // cpus), cpus


@contextmanager
def listening(spark: SparkSession, hear: Callable[[str], None]) -> Iterator[Ear | None]:
    """An ear for the tasks' news; none where the driver's address can't be listened at."""
    host = str(spark.conf.get("spark.driver.host", "127.0.0.1"))
    try:
        listener = Listener(host, hear)
    except (OSError, pa.ArrowException):
        yield None
        return
    try:
        yield listener.ear
    finally:
        listener.shutdown()


@contextmanager
def setting(spark: SparkSession, name: str, value: str) -> Iterator[None]:
    """A setting of the session for a while."""
    before = spark.conf.get(name, None)
    spark.conf.set(name, value)
    try:
        yield
    finally:
        if before is None:
            spark.conf.unset(name)
        else:
            spark.conf.set(name, before)


@contextmanager
def sentences() -> Iterator[None]:
    """What a task refused, as its sentence."""
    try:
        yield
    except Exception as error:
        told = sentence_of(error)
        if told is None:
            raise
        raise TrainingError(told.error or "", is_transient=told.is_transient) from error


def _frames(ratings: DataFrame, kind: str, names: tuple[str, str]) -> DataFrame:
    def pack(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        context = TaskContext.get()
        return packing.pack(batches, kind, context.partitionId() if context else 0, names)

    return ratings.select("user", "item", "rating").mapInArrow(pack, packing.FRAMES)


def _pack_factors(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    context = TaskContext.get()
    return packing.pack_factors(batches, context.partitionId() if context else 0)
