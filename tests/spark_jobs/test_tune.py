"""The search for parameters as a job: real Spark, a real S3 server and a real MLflow server."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from mlflow import MlflowClient

from marquee.lake import outcome
from marquee.lake.objects import Lake
from spark_jobs import tune

EXPERIMENT = "tuning job"
CHAMPION = {"rank": 4, "regularization": 0.05, "alpha": 1.0, "implicit": True, "iterations": 5, "seed": 1}


@pytest.fixture
def run(lake: Lake, snapshot: dict[str, Any], tracked: None) -> Callable[..., outcome.Outcome]:
    """Run the job as `spark-submit` does: words in, outcome out."""

    def once(*words: str, pinned: dict[str, Any] = snapshot) -> outcome.Outcome:
        where = outcome.key("test", "tune")
        given = ["--snapshot", json.dumps(pinned), "--experiment", EXPERIMENT, "--outcome", where]
        tune.main([*given, "--tags", json.dumps({"airflow.run_id": "manual__1"}), *words])
        left = outcome.load(lake, where)
        assert left is not None
        return left

    return once


def test_a_search_is_one_more_candidate_and_nested_runs(run: Callable[..., Any], snapshot: dict[str, Any]) -> None:
    words = ("--trials", "9", "--max-rank", "16", "--known", json.dumps([CHAMPION]))
    left = run(*words)
    assert left.error == "" and (left.result["name"], left.result["model"]) == ("als-tuned", "als")
    params = left.result["params"]
    assert params["implicit"] and params["rank"] <= 32 and {"unobserved_weight", "regularization"} <= set(params)

    client = MlflowClient()
    experiment = client.get_experiment_by_name(EXPERIMENT).experiment_id
    (search,) = client.search_runs([experiment], "run_name = 'tuning'")
    assert search.data.tags["airflow.run_id"] == "manual__1"
    assert json.loads(search.data.params["snapshot"]) == snapshot
    trials = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{search.info.run_id}'")
    assert len(trials) == 9
    metric = f"ndcg_at_{snapshot['k']}"
    figures = {trial.info.run_name: trial.data.metrics.get(metric) for trial in trials}
    assert search.data.metrics[metric] == max(value for value in figures.values() if value is not None)
    (first,) = (trial for trial in trials if trial.info.run_name == "trial-0")
    assert first.data.params["regularization"] == "0.05", "the champion's parameters come first"
    drawn = {one.path for one in client.list_artifacts(search.info.run_id, "figures")}
    assert drawn == {"figures/tuning_history.png", "figures/tuning_importance.png"}

    again = run(*words)
    assert again.result == left.result
    assert len(client.search_runs([experiment], "run_name = 'tuning'")) == 1, "found again, not searched again"


def test_the_search_never_sees_the_test_side(
    run: Callable[..., Any], snapshot: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    last: list[int] = []
    whole = tune.before

    def watched(*args: Any) -> Any:
        known = whole(*args)
        last.append(int(known.rated_at.max()))
        return known

    monkeypatch.setattr(tune, "before", watched)
    assert run("--trials", "1", "--feedback", "explicit", "--seed", "9").error == ""
    assert last and last[0] < snapshot["border"]


def test_without_a_budget_nothing_is_tuned(run: Callable[..., Any]) -> None:
    assert run().result == {}


def test_a_train_side_of_strangers_is_a_sentence(run: Callable[..., Any], snapshot: dict[str, Any]) -> None:
    left = run("--trials", "1", pinned=snapshot | {"border": snapshot["border"] - 10**15})
    assert not left.is_transient and "rating" in left.error
