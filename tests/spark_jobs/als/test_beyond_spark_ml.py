"""What ours has that Spark ML's ALS lacks: early ends, warm starts, other weights, and a stage that goes on."""

from __future__ import annotations

import itertools
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_jobs.als import ALS
from spark_jobs.als.checkpoint import StoredCheckpoints
from spark_jobs.als.plan import Factors, Iteration, Progress


@pytest.fixture(scope="module")
def ratings(spark: SparkSession) -> DataFrame:
    """1,800 ratings of rank 3 with noise, a fifth of them to be put aside."""
    rng = np.random.default_rng(2)
    X, Y = rng.normal(0, 1, (60, 3)), rng.normal(0, 1, (50, 3))
    user, item = np.nonzero(rng.random((60, 50)) < 0.6)
    columns = {
        "user": user,
        "item": item,
        "rating": np.einsum("nk,nk->n", X[user], Y[item]) + rng.normal(0, 0.3, len(user)),
        "is_aside": rng.random(len(user)) < 0.2,
    }
    return spark.createDataFrame(pa.table(columns)).persist()


def test_an_iteration_that_gains_too_little_is_the_last(ratings: DataFrame) -> None:
    als = ALS(rank=3, maxIter=50, regParam=0.05, tol=1e-3)
    told = als.fit(ratings).summary.iterations
    assert 2 < len(told) < 50
    gains = [1 - after["objective"] / before["objective"] for before, after in itertools.pairwise(told)]
    assert gains[-1] < 1e-3 <= min(gains[:-1])


@pytest.mark.parametrize("tasks", [1, 2])
def test_what_is_put_aside_is_not_learned_and_ends_the_fit(ratings: DataFrame, tasks: int) -> None:
    als = ALS(rank=16, maxIter=40, regParam=1e-4, tol=0.03, validationIndicatorCol="is_aside", numTasks=tasks)
    model = als.fit(ratings)
    told = [one["validation"] for one in model.summary.iterations]
    assert len(told) < 40
    # what is kept is the best iteration, and the error told is that of its predictions
    found = model.transform(ratings.where("is_aside"))
    squared = found.select(F.avg((F.col("rating") - F.col("prediction")) ** 2)).first()[0]
    assert np.sqrt(squared) == pytest.approx(min(told), rel=1e-4)
    without = ALS(rank=16, maxIter=len(told), regParam=1e-4).fit(ratings.where("not is_aside"))
    assert without.summary.iterations[0]["objective"] == pytest.approx(
        model.summary.iterations[0]["objective"], rel=1e-4
    )


@pytest.mark.parametrize("tasks", [1, 2])
def test_a_fit_that_begins_with_a_model_begins_where_it_ended(ratings: DataFrame, tasks: int) -> None:
    als = ALS(rank=3, maxIter=15, regParam=0.05, numTasks=tasks)
    model = als.fit(ratings)
    changed = ratings.where("user <> 5 and item <> 7").unionByName(
        ratings.where("user = 1").withColumn("user", F.lit(777))
    )
    again = als.copy({als.maxIter: 1}).setInitialModel(model).fit(changed)
    cold = als.copy({als.maxIter: 1}).setInitialModel(None).fit(changed)
    warm_sum, cold_sum = (one.summary.iterations[0]["objective"] for one in (again, cold))
    assert warm_sum < 0.7 * cold_sum
    users = {row.id for row in again.userFactors.select("id").collect()}
    assert 777 in users and 5 not in users
    with pytest.raises(ValueError, match="The initial model has 3 values a row, and this fit has 4: set the same rank"):
        ALS(rank=4).setInitialModel(model).fit(ratings)


def test_weights_of_rendle_and_others(ratings: DataFrame) -> None:
    """The objective of unobservedWeight and regExponent, by its definition over all pairs."""
    weight, nu, alpha, regularization = 0.2, 0.5, 3.0, 0.02
    als = ALS(
        rank=2, maxIter=4, implicitPrefs=True, alpha=alpha, regParam=regularization, unobservedWeight=weight,
        regExponent=nu, numTasks=2,
    )  # fmt: skip
    model = als.fit(ratings)
    X, Y = ({row.id: np.array(row.features) for row in one.collect()} for one in (model.userFactors, model.itemFactors))
    given = {(row.user, row.item): row.rating for row in ratings.collect()}
    total, n = 0.0, {}
    for user, x in X.items():
        for item, y in Y.items():
            rating = given.get((user, item), 0.0)
            total += (weight + alpha * abs(rating)) * (float(rating > 0) - x @ y) ** 2
            for key in (("u", user), ("i", item)):
                n[key] = n.get(key, 0) + (rating > 0)
    total += sum(regularization * (n["u", user] + weight * len(Y)) ** nu * (x @ x) for user, x in X.items())
    total += sum(regularization * (n["i", item] + weight * len(X)) ** nu * (y @ y) for item, y in Y.items())
    assert model.summary.iterations[-1]["objective"] == pytest.approx(total, rel=1e-4)


@pytest.mark.parametrize("tasks", [1, 2])
def test_biases_take_what_users_and_items_have_of_their_own(spark: SparkSession, tasks: int) -> None:
    """Ratings that are a mean, two biases and nothing else are met by them, and the objective is by its definition."""
    rng = np.random.default_rng(3)
    of_user, of_item = rng.normal(0, 1, 30), rng.normal(0, 1, 20)
    user, item = np.nonzero(rng.random((30, 20)) < 0.7)
    rating = 50 + of_user[user] + of_item[item]
    ratings = spark.createDataFrame(pa.table({"user": user, "item": item, "rating": rating}))
    als = ALS(rank=1, maxIter=12, regParam=1e-4, biases=True, numTasks=tasks)
    model = als.fit(ratings)
    found = model.transform(ratings).toArrow()
    assert np.abs(found["prediction"].to_numpy() - found["rating"].to_numpy()).max() < 0.05
    X, Y = ({row.id: np.array(row.features) for row in one.collect()} for one in (model.userFactors, model.itemFactors))
    total = sum((r - X[u] @ Y[i]) ** 2 for u, i, r in zip(user, item, rating, strict=True))
    own = {u: x[:2] for u, x in X.items()}, {i: np.array([y[0], y[2] - rating.mean()]) for i, y in Y.items()}
    total += 1e-4 * sum(own[0][u] @ own[0][u] for u in user) + 1e-4 * sum(own[1][i] @ own[1][i] for i in item)
    assert model.summary.iterations[-1]["objective"] == pytest.approx(total, rel=1e-2)
    again = als.copy({als.maxIter: 1}).setInitialModel(model).fit(ratings)
    assert again.summary.iterations[0]["objective"] == pytest.approx(total, rel=2e-2)
    with pytest.raises(ValueError, match="ALS parameter biases is True with implicitPrefs True"):
        ALS(biases=True, implicitPrefs=True).fit(ratings)


@pytest.mark.parametrize("where", ["folder", "lake"])
def test_a_checkpoint_counts_when_every_task_has_left_its_part(
    where: str, tmp_path: Path, lake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in lake.environment().items():
        monkeypatch.setenv(name, value)
    folder = str(tmp_path / "kept") if where == "folder" else "lake://checkpoints/of-the-test"
    zeros = Factors(np.zeros((2, 3), np.float32), np.zeros((1, 3), np.float32))
    start = Progress(zeros, zeros)
    one, two = (StoredCheckpoints(folder, task, 2) for task in (0, 1))
    assert one.latest(start) is start
    history = tuple(Iteration(number, 100.0 / number, None, 0.5, 7) for number in range(1, 11))
    parts = [Factors(zeros.users + number, zeros.items - number) for number in range(4)]
    one.save(Progress(parts[0], parts[0], history[:5]))
    assert one.latest(start) is start
    two.save(Progress(parts[1], parts[2], history[:5]))
    one.save(Progress(parts[2], parts[2], history))
    for kept, part, best in ((one, parts[0], parts[0]), (two, parts[1], parts[2])):
        found = kept.latest(start)
        assert found.history == history[:5]
        for got, wanted in ((found.factors, part), (found.best, best)):
            assert np.array_equal(got.users, wanted.users) and np.array_equal(got.items, wanted.items)
    two.save(Progress(parts[3], parts[3], history))
    assert one.latest(start).history == history
    assert StoredCheckpoints(folder, 0, 3).latest(start) is start


def test_a_stage_that_lost_a_task_goes_on_from_its_checkpoint(ratings: DataFrame, tmp_path: Path) -> None:
    """A task is killed after iteration 7; the stage is tried again from 6, and ends as if nothing had happened."""
    als = ALS(rank=3, maxIter=9, numTasks=2, checkpointInterval=2, checkpointDir=str(tmp_path / "kept"))
    undisturbed = als.fit(ratings)
    told: list[int] = []

    def hear(one: dict[str, Any]) -> None:
        told.append(one["number"])  # the first task waits meanwhile
        if told.count(7) == 1 and one["number"] == 7:
            os.kill(fitting_worker(), signal.SIGKILL)

    model = als.setListener(hear).fit(ratings)
    assert told == [1, 2, 3, 4, 5, 6, 7, 7, 8, 9]
    assert [one["number"] for one in model.summary.iterations] == list(range(1, 10))
    before, after = ({row.id: row.features for row in one.itemFactors.collect()} for one in (undisturbed, model))
    assert all(np.allclose(before[item], after[item], atol=1e-4) for item in before)
    assert not list((tmp_path / "kept").iterdir()), "checkpoints of a finished fit are removed"


def fitting_worker() -> int:
    """The process id of a Python worker of this process's Spark that serves others: that alone listens."""
    for one in psutil.Process().children(recursive=True):
        parent = one.parent()
        is_worker = parent is not None and "pyspark.daemon" in " ".join(parent.cmdline())
        if is_worker and any(at.status == psutil.CONN_LISTEN for at in one.net_connections("tcp")):
            return int(one.pid)
    raise AssertionError("no worker is fitting")


def test_tasks_receive_as_much_as_the_cost_model_says(spark: SparkSession) -> None:
    """An iteration brings a task the others' factors of both sides, 4 k (U + I) (T - 1) / T bytes, and little else."""
    rng = np.random.default_rng(1)
    user, item = np.nonzero(rng.random((600, 400)) < 0.05)
    ratings = spark.createDataFrame(pa.table({"user": user, "item": item, "rating": np.ones(len(user))}))
    model = ALS(rank=16, maxIter=3, numTasks=2).fit(ratings)
    said = 4 * 16 * (len(set(user)) + len(set(item))) / 2
    for one in model.summary.iterations:
        assert one["received_bytes"] == pytest.approx(said, rel=0.15)  # owners are drawn by hash: halves, nearly
    assert ALS(rank=16, maxIter=1, numTasks=1).fit(ratings).summary.iterations[0]["received_bytes"] == 0


def test_what_a_fit_keeps_is_given_back(ratings: DataFrame) -> None:
    ratings.count()  # which are kept themselves
    kept = ratings.sparkSession.sparkContext._jsc.sc().getPersistentRDDs
    before = kept().size()
    model = ALS(rank=2, maxIter=1).fit(ratings)
    assert kept().size() == before + 1
    model.unpersist().unpersist()
    assert kept().size() == before
    assert model.userFactors.count() == 60, "and it is still a model"


@pytest.mark.parametrize("tasks", [1, 2])
@pytest.mark.parametrize("implicit", [True, False])
def test_users_are_exact_where_that_is_asked_for(ratings: DataFrame, implicit: bool, tasks: int) -> None:
    """Each user by a dense solver over the items that the fit came to."""
    reg, alpha = 0.05, 2.0
    als = ALS(
        rank=40, maxIter=2, solver="cg", implicitPrefs=implicit, alpha=alpha, regParam=reg, numTasks=tasks,
        exactUsers=True,
    )  # fmt: skip
    model = als.fit(ratings)
    Y = {row.id: np.array(row.features) for row in model.itemFactors.collect()}
    total = sum(np.outer(y, y) for y in Y.values()) if implicit else np.zeros((40, 40))
    rows = ratings.collect()
    for row in model.userFactors.where("id < 10").collect():
        own = [(Y[one.item], one.rating) for one in rows if one.user == row.id]
        n = sum(rating > 0 for _, rating in own) if implicit else len(own)
        A, b = total + reg * n * np.eye(40), np.zeros(40)
        for y, rating in own:
            A += (alpha * abs(rating) if implicit else 1.0) * np.outer(y, y)
            b += ((1 + alpha * rating) * (rating > 0) if implicit else rating) * y
        np.testing.assert_allclose(row.features, np.linalg.solve(A, b), atol=1e-4)
