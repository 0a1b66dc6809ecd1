"""What Spark ML's suite asks of its ALS (ALSSuite.scala), asked of ours; and what ours takes that theirs refuses."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyspark.ml import Pipeline
from pyspark.ml.evaluation import RegressionEvaluator
from pyspark.ml.recommendation import ALS as SparkALS  # noqa: N811
from pyspark.ml.tuning import CrossValidator, ParamGridBuilder
from pyspark.sql import DataFrame, SparkSession

from marquee.errors import TrainingError
from spark_jobs.als import ALS, ALSModel

Ratings = list[tuple[Any, Any, float]]


def frame(spark: SparkSession, ratings: Iterable[tuple[Any, Any, float]]) -> DataFrame:
    columns = list(zip(*ratings, strict=True))
    return spark.createDataFrame(pa.table(dict(zip(("user", "item", "rating"), columns, strict=True))))


def explicit(users: int, items: int, rank: int, noise: float = 0.0) -> tuple[Ratings, Ratings]:
    """Of a matrix of that rank 60 % of the cells, with noise, to learn from, and 30 % to test by, without."""
    rng = np.random.default_rng(11)
    X, Y = rng.uniform(-1, 1, (users, rank)), rng.uniform(-1, 1, (items, rank))
    learn, test = [], []
    for user in range(users):
        for item in range(items):
            draw, rating = rng.random(), float(X[user] @ Y[item])
            if draw < 0.6:
                learn.append((user, item, rating + noise * rng.normal()))
            elif draw < 0.9:
                test.append((user, item, rating))
    return learn, test


def implicit(users: int, items: int, rank: int, noise: float = 0.0) -> tuple[Ratings, Ratings]:
    """As Spark ML's suite makes them: ratings above 0 by 10 %, and of those below some, as 0 or less."""
    rng = np.random.default_rng(11)
    X, Y = rng.uniform(0, 1, (users, rank)), rng.uniform(0, 1, (items, rank))
    learn, test = [], []
    for user in range(users):
        for item in range(items):
            rating, draw = float(X[user] @ Y[item]), rng.random()
            threshold = 0.3 * rank
            if rating > threshold:
                (learn if draw < 0.6 else test).append((user, item, rating + noise * rng.normal()))
            elif draw < 0.3:
                (learn if draw < 0.18 else test).append((user, item, -0.1 * draw))
    return learn, test


def rmse(model: ALSModel, test: DataFrame) -> float:
    return float(RegressionEvaluator(labelCol="rating", predictionCol="prediction").evaluate(model.transform(test)))


@pytest.mark.parametrize(
    ("rank", "noise", "fitted_rank", "regularization", "wanted"),
    [(1, 0.0, 1, 1e-5, 0.001), (1, 0.01, 2, 0.01, 0.02), (2, 0.0, 2, 1e-5, 0.05), (2, 0.01, 3, 0.01, 0.04)],
)
@pytest.mark.parametrize("tasks", [1, 2])
def test_a_matrix_of_low_rank_is_recovered(
    spark: SparkSession, rank: int, noise: float, fitted_rank: int, regularization: float, wanted: float, tasks: int
) -> None:
    learn, test = explicit(20, 40, rank, noise)
    als = ALS(rank=fitted_rank, regParam=regularization, seed=0, numTasks=tasks)
    assert rmse(als.fit(frame(spark, learn)), frame(spark, test)) < wanted


def test_the_same_sum_is_minimized_as_by_spark_ml(spark: SparkSession) -> None:
    """Of rank 1 both converge, and to the same objective: within 0.1 %."""
    for is_implicit in (False, True):
        learn, _ = implicit(30, 20, 1, 0.05) if is_implicit else explicit(30, 20, 1, 0.2)
        ratings = frame(spark, learn).persist()
        settings = {"rank": 1, "maxIter": 15, "regParam": 0.1, "implicitPrefs": is_implicit, "alpha": 2.0, "seed": 3}
        sums = [
            objective(learn, kind(**settings).fit(ratings), 0.1, 2.0 if is_implicit else None)
            for kind in (ALS, SparkALS)
        ]
        assert sums[0] == pytest.approx(sums[1], rel=1e-3)


def vectors(model: Any) -> list[dict[Any, np.ndarray]]:
    """The factors of users, and of items, by id."""
    frames = (model.userFactors, model.itemFactors)
    return [{row.id: np.array(row.features, np.float64) for row in one.collect()} for one in frames]


def objective(ratings: Ratings, model: Any, regularization: float, alpha: float | None) -> float:
    """Spark ML's objective, by its definition, in float64."""
    X, Y = (
        {row.id: np.array(row.features, np.float64) for row in one.collect()}
        for one in (model.userFactors, model.itemFactors)
    )
    total, n = 0.0, {}
    if alpha is None:
        total = sum((r - X[u] @ Y[i]) ** 2 for u, i, r in ratings)
    else:
        given = {(u, i): r for u, i, r in ratings}
        for u, x in X.items():
            for i, y in Y.items():
                r = given.get((u, i), 0.0)
                total += (1 + alpha * abs(r)) * (float(r > 0) - x @ y) ** 2
    for user, item, rating in ratings:
        for key in (("u", user), ("i", item)):
            n[key] = n.get(key, 0) + (1 if alpha is None or rating > 0 else 0)
    for user, x in X.items():
        total += regularization * n.get(("u", user), 0) * float(x @ x)
    for item, y in Y.items():
        total += regularization * n.get(("i", item), 0) * float(y @ y)
    return float(total)


def test_the_objective_told_is_the_objective_and_falls(spark: SparkSession) -> None:
    for is_implicit in (False, True):
        learn, _ = implicit(25, 20, 2) if is_implicit else explicit(25, 20, 2, 0.1)
        told: list[dict[str, Any]] = []
        als = ALS(rank=3, maxIter=6, regParam=0.05, implicitPrefs=is_implicit, numTasks=2)
        model = als.setListener(told.append).fit(frame(spark, learn))
        sums = [one["objective"] for one in told]
        assert [one["number"] for one in told] == list(range(1, 7))
        assert sums == [one["objective"] for one in model.summary.iterations]
        assert all(after <= before * (1 + 1e-5) for before, after in itertools.pairwise(sums))
        assert sums[-1] == pytest.approx(objective(learn, model, 0.05, 1.0 if is_implicit else None), rel=1e-4)


@pytest.mark.parametrize("is_implicit", [False, True])
def test_nonnegative_factors(spark: SparkSession, is_implicit: bool) -> None:
    learn, _ = implicit(20, 30, 2, 0.01) if is_implicit else explicit(20, 30, 2, 0.01)
    als = ALS(rank=2, maxIter=5, regParam=0.01, nonnegative=True, implicitPrefs=is_implicit, seed=0)
    model = als.fit(frame(spark, learn))
    for factors in (model.userFactors, model.itemFactors):
        assert min(min(row.features) for row in factors.collect()) >= 0
    assert model.summary.solver == "nnls"


def test_negative_implicit_ratings_lower_the_preference(spark: SparkSession) -> None:
    learn, test = implicit(20, 40, 2, 0.01)
    model = ALS(rank=2, maxIter=10, regParam=0.01, implicitPrefs=True, seed=0).fit(frame(spark, learn))
    found = {True: [], False: []}
    for row in model.transform(frame(spark, test)).collect():
        found[row.rating > 0].append(row.prediction)
    assert np.mean(found[True]) > np.mean(found[False]) + 0.2


@pytest.mark.parametrize("tasks", [1, 2])
def test_neither_the_tasks_nor_the_order_nor_the_partitions_matter(spark: SparkSession, tasks: int) -> None:
    learn, test = explicit(20, 15, 2, 0.1)
    als = ALS(rank=3, maxIter=4, seed=5)
    plain = als.fit(frame(spark, learn).coalesce(1)).transform(frame(spark, test)).toArrow()["prediction"].to_numpy()
    shuffled = frame(spark, [learn[at] for at in np.random.default_rng(0).permutation(len(learn))]).repartition(5)
    other = als.copy({als.numTasks: tasks}).fit(shuffled)
    other = other.transform(frame(spark, test)).toArrow()["prediction"].to_numpy()
    assert np.allclose(np.sort(plain), np.sort(other), atol=1e-4)


def test_factors_exchanged_in_parts_are_the_same(spark: SparkSession) -> None:
    for is_implicit in (False, True):
        learn, _ = implicit(40, 30, 2) if is_implicit else explicit(40, 30, 2)
        als = ALS(rank=3, maxIter=3, implicitPrefs=is_implicit, numTasks=2, seed=1)
        whole, parts = (
            vectors(als.copy({als.maxFactorsMemory: size}).fit(frame(spark, learn)))[0] for size in (1 << 30, 1)
        )
        assert whole.keys() == parts.keys()
        for user, features in whole.items():
            assert np.allclose(features, parts[user], atol=1e-4)


def test_ids_come_out_as_they_went_in(spark: SparkSession) -> None:
    users = ["007", "7", " 7", "ü@example.org", "9f1c1f1e-0000-4000-8000-000000000000"]
    items = [2**40, -(2**40), 0, 3, 2**62]
    learn = [(user, item, float(u + i)) for u, user in enumerate(users) for i, item in enumerate(items)]
    model = ALS(rank=2, maxIter=2, numTasks=2).fit(frame(spark, learn))
    assert sorted(row.id for row in model.userFactors.collect()) == sorted(users)
    assert sorted(row.id for row in model.itemFactors.collect()) == sorted(items)
    best = {row.user: row.recommendations for row in model.recommendForAllUsers(2).collect()}
    assert best.keys() == set(users)
    assert {entry.item for entries in best.values() for entry in entries} <= set(items)


@pytest.mark.parametrize("kind", ["byte", "short", "int", "bigint", "float", "double", "decimal(15,2)"])
def test_whole_numbers_of_every_type_are_ids(spark: SparkSession, kind: str) -> None:
    learn, _ = explicit(10, 8, 1)
    ratings = frame(spark, learn)
    ratings = ratings.select(ratings.user.cast(kind).alias("user"), "item", "rating")
    assert ALS(rank=1, maxIter=1).fit(ratings).userFactors.count() == 10


def test_fractions_and_other_types_are_no_ids(spark: SparkSession) -> None:
    wrong = frame(spark, [(123.1, 1, 1.0)])
    with pytest.raises(Exception, match=r"whole numbers and strings as ids: column user has 123\.1"):
        ALS().fit(wrong)
    with pytest.raises(ValueError, match="Column 'user' of ids is of type date"):
        ALS().fit(spark.sql("select current_date() user, 1 item, 1.0 rating"))
    with pytest.raises(ValueError, match="Column 'who' does not exist: the frame has 'user', 'item', 'rating'"):
        ALS(userCol="who").fit(wrong)
    assert ALS(rank=1).fit(frame(spark, [(Decimal("12.00"), 1, 1.0)])).userFactors.count() == 1


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ((None, 1, 1.0), "Column 'user' has a null where 'item' is 1"),
        ((1, None, 1.0), "Column 'item' has a null where 'user' is 1"),
        ((1, 1, None), "The rating of user 1 for item 1 is None: ratings have to be finite"),
        ((1, 1, float("nan")), "The rating of user 1 for item 1 is nan"),
        ((1, 1, float("inf")), "The rating of user 1 for item 1 is inf"),
    ],
)
def test_gaps_are_refused_in_a_sentence(spark: SparkSession, row: tuple[Any, Any, Any], sentence: str) -> None:
    ratings = spark.createDataFrame([(5, 5, 5.0), row], "user int, item int, rating float")
    with pytest.raises(TrainingError, match=sentence):
        ALS().fit(ratings)


def test_no_rating_at_all_is_a_sentence(spark: SparkSession) -> None:
    with pytest.raises(TrainingError, match="There is no rating to learn from"):
        ALS().fit(spark.createDataFrame([], "user int, item int, rating float"))


def test_a_single_rating_and_equal_ratings(spark: SparkSession) -> None:
    model = ALS(rank=2, regParam=1e-4).fit(frame(spark, [(1, 1, 4.0)]))
    assert model.transform(frame(spark, [(1, 1, 4.0)])).first().prediction == pytest.approx(4, rel=1e-2)
    same = [(user, item, 3.0) for user in range(5) for item in range(4)]
    found = ALS(rank=2, regParam=1e-4).fit(frame(spark, same)).transform(frame(spark, same)).collect()
    assert all(row.prediction == pytest.approx(3, rel=1e-2) for row in found)


def test_cold_ids_are_nan_or_dropped(spark: SparkSession) -> None:
    learn, _ = explicit(10, 8, 1)
    asked = frame(spark, [(0, 0, 1.0), (999, 0, 1.0), (0, 999, 1.0)])
    model = ALS(rank=1, maxIter=1).fit(frame(spark, learn))
    predicted = sorted(row.prediction for row in model.transform(asked).collect())
    assert np.isnan(predicted).sum() == 2
    assert model.setColdStartStrategy("drop").transform(asked).count() == 1
    with pytest.raises(ValueError, match="coldStartStrategy given invalid value foo: it may be nan or drop"):
        model.setColdStartStrategy("foo").transform(asked)


def test_lists_for_all_and_for_some(spark: SparkSession) -> None:
    learn, _ = explicit(12, 9, 2)
    model = ALS(rank=2, maxIter=3).fit(frame(spark, learn))
    users, items = (
        {row.id: np.array(row.features) for row in one.collect()} for one in (model.userFactors, model.itemFactors)
    )
    for lists, of, among, name, other in (
        (model.recommendForAllUsers(4), users, items, "user", "item"),
        (model.recommendForAllItems(4), items, users, "item", "user"),
    ):
        rows = lists.collect()
        assert {row[name] for row in rows} == set(of)
        for row in rows:
            scores = sorted(((float(of[row[name]] @ y), -key) for key, y in among.items()), reverse=True)[:4]
            assert [entry[other] for entry in row.recommendations] == [-key for _, key in scores]
            assert [entry.rating for entry in row.recommendations] == pytest.approx([s for s, _ in scores], rel=1e-4)
    some = spark.createDataFrame([(3,), (3,), (99,)], "user int")
    assert [row.user for row in model.recommendForUserSubset(some, 2).collect()] == [3]
    some = spark.createDataFrame([(2,), (5,)], "item int")
    assert sorted(row.item for row in model.recommendForItemSubset(some, 2).collect()) == [2, 5]
    assert all(len(row.recommendations) == 9 for row in model.recommendForAllUsers(50).collect())


def test_kept_and_loaded_again(spark: SparkSession, tmp_path: Path) -> None:
    learn, test = explicit(10, 8, 1)
    als = ALS(rank=2, maxIter=2, userCol="user", alpha=3.0, solver="cg", unobservedWeight=0.5)
    als.save(str(tmp_path / "als"))
    again = ALS.load(str(tmp_path / "als"))
    assert (again.getRank(), again.getAlpha(), again.getSolver(), again.getUnobservedWeight()) == (2, 3.0, "cg", 0.5)
    model = als.fit(frame(spark, learn)).setPredictionCol("predicted")
    model.save(str(tmp_path / "model"))
    model.write().overwrite().save(str(tmp_path / "model"))
    loaded = ALSModel.load(str(tmp_path / "model"))
    assert (loaded.rank, loaded.uid, loaded.summary) == (model.rank, model.uid, model.summary)
    before, after = (
        sorted((row.user, row.item, row.predicted) for row in one.transform(frame(spark, test)).collect())
        for one in (model, loaded)
    )
    assert before == after


def test_pipelines_grids_and_cross_validation(spark: SparkSession) -> None:
    learn, _ = explicit(40, 30, 1)
    als = ALS(rank=1, maxIter=10, coldStartStrategy="drop", seed=1)
    pipeline = Pipeline(stages=[als])
    grid = ParamGridBuilder().addGrid(als.regParam, [0.01, 100.0]).build()
    evaluator = RegressionEvaluator(labelCol="rating", predictionCol="prediction")
    found = CrossValidator(estimator=pipeline, estimatorParamMaps=grid, evaluator=evaluator, numFolds=2, seed=1).fit(
        frame(spark, learn)
    )
    assert found.avgMetrics[0] < found.avgMetrics[1]
    assert found.bestModel.stages[0].uid == als.uid
    assert als.copy({als.rank: 7}).getRank() == 7
    assert als.getRank() == 1


def test_a_change_of_the_import_is_the_migration() -> None:
    theirs, ours = SparkALS(), ALS()
    for param in theirs.params:
        assert ours.hasParam(param.name)
        stem = param.name[0].upper() + param.name[1:]
        if hasattr(theirs, f"set{stem}"):
            assert hasattr(ours, f"set{stem}")
        if theirs.isDefined(param) and param.name not in ("seed", "blockSize"):
            assert ours.getOrDefault(param.name) == theirs.getOrDefault(param)
    with pytest.raises(TypeError, match="ALS has no parameter ranks"):
        ALS(ranks=3)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"rank": 0}, "ALS parameter rank given invalid value 0: it may be at least 1"),
        ({"regParam": -1.0}, "ALS parameter regParam given invalid value -1.0: it may be at least 0"),
        ({"solver": "qr"}, "ALS parameter solver given invalid value qr: it may be auto, cholesky"),
        (
            {"checkpointInterval": 0},
            "parameter checkpointInterval given invalid value 0: it may be -1 or at least 1",
        ),
        ({"numTasks": 99}, "ALS parameter numTasks is 99, but this local Spark runs 2 tasks at once"),
        ({"finalStorageLevel": "NONE"}, "ALS parameter finalStorageLevel given invalid value NONE"),
    ],
)
def test_wrong_parameters_are_named(spark: SparkSession, settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        ALS(**settings).fit(frame(spark, [(1, 1, 1.0)]))
