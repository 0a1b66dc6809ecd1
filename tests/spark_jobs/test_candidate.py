"""The candidate job on real Spark, a real S3 server and a real MLflow server, with small data of two tastes."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyspark.sql import SparkSession

from marquee import registry
from marquee.explanations import explainer_of
from marquee.lake import outcome, snapshots
from marquee.lake.objects import Lake
from marquee.recommender_files import RecommenderFiles
from spark_jobs import candidate
from tests.spark_jobs.two_tastes import N_ITEMS, N_USERS, START, K, ratings

EXPERIMENT = "candidate job"
FLOOR = {"name": "popular", "model": "popular", "params": {}}
ALS = {
    "name": "als",
    "model": "als",
    "params": {"rank": 4, "iterations": 5, "regularization": 0.05, "alpha": 1.0, "implicit": True, "seed": 1},
}


@pytest.fixture
def train(lake: Lake, snapshot: dict[str, Any], tracked: None) -> Callable[..., tuple[int, outcome.Outcome]]:
    """Run the job as `spark-submit` does: words in, exit code and outcome out."""

    def run(configured: dict[str, Any], pinned: dict[str, Any] = snapshot) -> tuple[int, outcome.Outcome]:
        where = outcome.key("test", f"candidate-{configured['name']}".replace(" ", "-"))
        words = ["--candidate", json.dumps(configured), "--snapshot", json.dumps(pinned), "--experiment", EXPERIMENT]
        code = candidate.main([*words, "--tags", json.dumps({"airflow.run_id": "manual__1"}), "--outcome", where])
        left = outcome.load(lake, where)
        assert left is not None
        json.dumps(left.result, allow_nan=False)  # as Airflow keeps it
        return code, left

    return run


def files_of(run_id: str, into: Path) -> RecommenderFiles:
    return registry.load_files("candidate-job", registry.register(run_id, "candidate-job"), into)


def floor_by_hand(snapshot: dict[str, Any], k: int) -> dict[str, float]:
    """Popularity lists and their metrics, one user after the other, from the rows alone."""
    rows = ratings("")
    border = START + timedelta(microseconds=snapshot["border"] - START.timestamp() * 1e6)
    train = [row for row in rows if row["rated_at"] < border]
    popularity = Counter(row["item_id"] for row in train)
    seen: dict[str, set[str]] = {}
    for row in train:
        seen.setdefault(row["user_id"], set()).add(row["item_id"])
    relevant: dict[str, set[str]] = {}
    for row in rows:
        if row["rated_at"] >= border and row["user_id"] in seen and row["item_id"] in popularity:
            relevant.setdefault(row["user_id"], set()).add(row["item_id"])
    ranked = sorted({row["item_id"] for row in rows}, key=lambda item: (-popularity[item], item))
    sums: Counter[str] = Counter()
    listed: set[str] = set()
    for user, wanted in relevant.items():
        best = [item for item in ranked if item not in seen[user]][:k]
        listed.update(best)
        hits = [place for place, item in enumerate(best) if item in wanted]
        ideal = sum(1 / math.log2(place + 2) for place in range(min(k, len(wanted))))
        sums["ndcg"] += sum(1 / math.log2(place + 2) for place in hits) / ideal
        sums["recall"] += len(hits) / len(wanted)
        sums["precision"] += len(hits) / k
        sums["map"] += sum((n + 1) / (place + 1) for n, place in enumerate(hits)) / min(k, len(wanted))
        sums["mrr"] += 1 / (hits[0] + 1) if hits else 0
        sums["hit_rate"] += bool(hits)
    means = {f"{name}_at_{k}": value / len(relevant) for name, value in sums.items()}
    return means | {f"coverage_at_{k}": len(listed & set(popularity)) / len(popularity)}


def test_the_floor_as_computed_by_hand(train: Callable[..., Any], snapshot: dict[str, Any], tmp_path: Path) -> None:
    code, left = train(FLOOR)
    assert (code, left.error) == (0, "") and left.result["is_floor"]
    for k in (1, 5, 10, 20):
        for name, value in floor_by_hand(snapshot, k).items():
            assert left.result["metrics"][name] == pytest.approx(value, abs=1e-12), name
            assert left.result["metrics"][f"floor_{name}"] == left.result["metrics"][name]
    files = files_of(left.result["run_id"], tmp_path)
    counts = Counter(row["item_id"] for row in ratings(""))
    assert dict(zip(files.item_ids.to_pylist(), files.n_ratings.tolist(), strict=True)) == counts
    assert files.source == "popular" and files.user_factors is None


def test_als_beats_the_floor_where_there_are_two_tastes(
    train: Callable[..., Any], snapshot: dict[str, Any], tmp_path: Path
) -> None:
    code, left = train(ALS)
    assert (code, left.error) == (0, "") and not left.result["is_floor"]
    metrics = left.result["metrics"]
    for name, value in floor_by_hand(snapshot, K).items():
        assert metrics[f"floor_{name}"] == pytest.approx(value, abs=1e-12), name
    assert metrics[f"ndcg_at_{K}"] > metrics[f"floor_ndcg_at_{K}"]
    assert metrics["train_ratings"] + metrics["test_ratings"] == len(ratings("")) == snapshot["n_ratings"]
    assert metrics["evaluated_users"] <= metrics["test_users"] - metrics["test_users_cold"]

    kept = registry.find_candidate(EXPERIMENT, candidate.key_of(ALS, snapshot))
    assert kept is not None and kept.run_id == left.result["run_id"]
    assert json.loads(kept.tags["marquee.snapshot"]) == snapshot
    assert json.loads(kept.tags["marquee.candidate"]) == ALS
    assert kept.tags["airflow.run_id"] == "manual__1" and kept.rank == 4

    # the model that is kept has learned from all ratings, and knows what everybody has seen
    files = files_of(left.result["run_id"], tmp_path)
    assert (len(files.user_ids), len(files.item_ids), files.rank) == (N_USERS, N_ITEMS, 4)
    assert dict(zip(files.item_ids.to_pylist(), files.titles.to_pylist(), strict=True))["7"] == "Title 7"
    ids = files.item_ids.to_pylist()
    assert files.seen_ratings is not None and files.n_recent is not None
    seen = {
        (user, ids[files.seen_indices[place]], float(files.seen_ratings[place]))
        for at, user in enumerate(files.user_ids.to_pylist())
        for place in range(files.seen_indptr[at], files.seen_indptr[at + 1])
    }
    assert seen == {(row["user_id"], row["item_id"], row["rating"]) for row in ratings("")}
    latest = sorted(ratings(""), key=lambda row: row["rated_at"])[-len(ratings("")) // 10 - 1 :]
    counts = Counter(row["item_id"] for row in latest)
    assert {item: n for item, n in zip(ids, files.n_recent.tolist(), strict=True) if n} == counts
    # and its scores are sums of what the history's items have in them
    explainer = explainer_of(files)
    assert explainer is not None and files.user_factors is not None and files.item_factors is not None
    everything = np.tile(np.arange(N_ITEMS), (N_USERS, 1))
    sums = np.stack([shares.sum(axis=0) for _, shares in explainer.shares(np.arange(N_USERS), everything)])
    scores = files.user_factors.astype(float) @ files.item_factors.astype(float).T
    np.testing.assert_allclose(sums, scores, rtol=1e-4, atol=1e-4 * float(np.abs(scores).max()))


def test_the_same_candidate_again_is_found_not_trained(train: Callable[..., Any], snapshot: dict[str, Any]) -> None:
    first, second = train(FLOOR)[1], train(FLOOR)[1]
    assert second.result["run_id"] == first.result["run_id"]
    assert second.result["metrics"] == pytest.approx(first.result["metrics"])


def test_each_iteration_is_a_step_of_the_runs_metrics(train: Callable[..., Any]) -> None:
    from mlflow import MlflowClient

    run_id = train(ALS)[1].result["run_id"]
    objective = MlflowClient().get_metric_history(run_id, "objective")
    assert [metric.step for metric in objective] == [1, 2, 3, 4, 5]
    assert objective[-1].value < objective[0].value
    assert len(MlflowClient().get_metric_history(run_id, "iteration_seconds")) == 5


@pytest.mark.parametrize("kind", ["als", "spark-als"])
def test_explicit_feedback_is_judged_by_its_error_too(train: Callable[..., Any], kind: str) -> None:
    params = {"rank": 2, "iterations": 3, "regularization": 0.2, "implicit": False, "seed": 1}
    code, left = train({"name": f"explicit {kind}", "model": kind, "params": params})
    assert (code, left.error) == (0, "")
    # ratings are uniform in 0.5 to 5: their spread is 1.4, and nothing can be learned of them
    assert 0.5 < left.result["metrics"]["rmse"] < 3


def test_a_later_batch_with_another_rating_of_the_same_pair_counts_once(
    spark: SparkSession, commit_rows: Callable[..., int], snapshot: dict[str, Any]
) -> None:
    from spark_jobs.interactions import read_ratings

    batch = "d" * 64
    again = [
        {**row, "rating": 0.5, "rated_at": row["rated_at"] + timedelta(days=days), "source_sha256": batch}
        for row, days in zip(ratings("")[:2], (900, -900), strict=True)
    ]
    version = commit_rows("ratings", batch, again, "append")
    found = {(row["user_id"], row["item_id"]): row for row in read_ratings(spark, version).collect()}
    assert len(found) == len(ratings(""))
    newer, older = ratings("")[:2]
    assert found[newer["user_id"], newer["item_id"]]["rating"] == 0.5
    assert found[older["user_id"], older["item_id"]]["rating"] == older["rating"]
    # the pinned version does not see the batch
    assert read_ratings(spark, snapshot["ratings_version"]).count() == len(ratings(""))


@pytest.mark.parametrize(
    ("configured", "words"),
    [
        ({"model": "best", "params": {}}, "There is no recommender 'best': choose one of als, popular, spark-als."),
        ({"model": "spark-als", "params": {"rang": 3}}, "'spark-als' does not take these parameters"),
        ({"model": "spark-als", "params": {"rank": 0}}, "Parameter rank of spark-als is 0; it may be 1 to 1024"),
        ({"model": "als", "params": {"rank": 0}}, "ALS parameter rank given invalid value 0: it may be at least 1"),
    ],
)
def test_a_candidate_that_is_none_is_a_sentence(
    train: Callable[..., Any], configured: dict[str, Any], words: str
) -> None:
    code, left = train({"name": "wrong", **configured})
    assert code == 1 and words in left.error and not left.is_transient


def test_a_version_that_is_not_there_is_a_sentence(train: Callable[..., Any], snapshot: dict[str, Any]) -> None:
    code, left = train(FLOOR, snapshot | {"ratings_version": 9_999})
    assert code == 1 and "Table ratings has no version 9999" in left.error


def test_a_test_side_of_strangers_is_a_sentence(
    spark: SparkSession, lake: Lake, commit_rows: Callable[..., int], train: Callable[..., Any]
) -> None:
    batch = "e" * 64
    rows = [row | {"source_sha256": batch} for row in ratings("")[:24]]  # two users
    for row in rows:
        row["rated_at"] += timedelta(days=3650 if row["user_id"] == "u1" else 0)
    pinned = snapshots.pin(lake, test_share=0.5, k=K, ratings_version=commit_rows("ratings", batch, rows))
    code, left = train(FLOOR, pinned)
    assert code == 1 and not left.is_transient
    assert "None of the 1 users of the test side has rated before the border" in left.error


@pytest.mark.parametrize("configured", [FLOOR, ALS, {**ALS, "params": {**ALS["params"], "implicit": False}}])
def test_ratings_that_are_all_equal_are_no_trouble(
    lake: Lake, commit_rows: Callable[..., int], train: Callable[..., Any], configured: dict[str, Any]
) -> None:
    batch = "f" * 64
    rows = [row | {"source_sha256": batch, "rating": 3.0} for row in ratings("")]
    pinned = snapshots.pin(lake, test_share=0.25, k=K, ratings_version=commit_rows("ratings", batch, rows))
    code, left = train(configured, pinned)
    assert (code, left.error) == (0, "") and 0 <= left.result["metrics"][f"ndcg_at_{K}"] <= 1


@pytest.mark.parametrize("configured", [FLOOR, ALS])
def test_one_item_can_t_be_foretold(
    lake: Lake, commit_rows: Callable[..., int], train: Callable[..., Any], configured: dict[str, Any]
) -> None:
    batch = "1" * 64
    of_one = {row["user_id"]: row | {"source_sha256": batch, "item_id": "7"} for row in ratings("")}
    version = commit_rows("ratings", batch, list(of_one.values()))
    code, left = train(configured, snapshots.pin(lake, test_share=0.25, k=K, ratings_version=version))
    assert code == 1 and not left.is_transient and "no model can be judged" in left.error


def test_a_model_of_scores_that_are_no_numbers_is_a_sentence(train: Callable[..., Any]) -> None:
    params = {**ALS["params"], "alpha": 3e38}
    code, left = train({"name": "overflowing", "model": "als", "params": params})
    assert code == 1 and not left.is_transient and left.result == {}
    assert "finite" in left.error, left.error


def test_the_key_is_of_the_candidate_and_the_snapshot() -> None:
    key = candidate.key_of(ALS, {"border": 1})
    assert key == candidate.key_of(dict(reversed(ALS.items())), {"border": 1})
    assert len({key, candidate.key_of(FLOOR, {"border": 1}), candidate.key_of(ALS, {"border": 2})}) == 3
