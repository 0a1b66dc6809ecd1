"""Decisions in the lake and the aliases that follow them, on a real S3 server and a real MLflow server."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from mlflow import MlflowClient

from expectations.contracts import DECISIONS, RELEASES
from expectations.schema import arrow_schema
from marquee import registry
from marquee.errors import RegistryError, TrainingError
from marquee.gate import enacting, record
from marquee.lake import tables
from marquee.lake.objects import Lake
from marquee.recommender_files import RecommenderFiles
from marquee.releases import ledger

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SCHEMA = arrow_schema(DECISIONS)


@pytest.fixture(autouse=True)
def client(mlflow_server: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in mlflow_server.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def model(request: pytest.FixtureRequest) -> str:
    """A registered model of the test's own."""
    return str(request.node.name).replace("_", "-")


@pytest.fixture
def a_run(model: str) -> Callable[[str], str]:
    """A function that keeps a candidate as a run of MLflow, and returns the run's id."""

    def keep(key: str) -> str:
        n_users, n_items = 3, 4
        files = RecommenderFiles(
            user_ids=pa.array([f"u{user}" for user in range(n_users)]),
            item_ids=pa.array([str(item) for item in range(n_items)]),
            titles=pa.array([f"Title {item}" for item in range(n_items)]),
            n_ratings=np.arange(n_items),
            user_factors=np.ones((n_users, 2), np.float32),
            item_factors=np.ones((n_items, 2), np.float32),
            seen_indptr=np.arange(n_users + 1),
            seen_indices=np.zeros(n_users, np.int32),
            source="als",
        )
        return registry.log_candidate(
            experiment="gate", key=f"{model} {key}", name=f"als {key}", params={"rank": 2},
            metrics={"ndcg_at_10": 0.1}, figures={}, tags={}, files=files,
        )  # fmt: skip

    return keep


def decision(run_id: str, action: str = "promote", challenger: str = "") -> dict[str, Any]:
    return {
        "action": action, "name": f"als of {run_id}" if run_id else "", "run_id": run_id, "challenger": "",
        "challenger_run_id": challenger, "metric": "ndcg_at_10", "n_users": 100, "reason": "als is the champion.",
        "verdicts": [
            {"name": "als", "value": 0.2, "passes": True, "beyond_champion": None,
             "beyond_floor": {"value": 0.1, "low": 0.05, "high": 0.15, "n_users": 100}},
        ],
    }  # fmt: skip


def standing(lake: Lake, model: str) -> dict[str, Any]:
    return {"decisions_version": record.seen(lake), "champion_version": registry.champion(model) or ""}


def enact(lake: Lake, made: dict[str, Any], before: dict[str, Any], decision_id: str, model: str) -> dict[str, Any]:
    return enacting.enact(lake, made, before, SCHEMA, decision_id=decision_id, decided_at=AT, model=model)


def rows(lake: Lake) -> list[dict[str, Any]]:
    version = tables.current_version(lake, "decisions")
    if version is None:
        return []
    return [row for batch in tables.read_table(lake, "decisions", version) for row in batch.to_pylist()]


def test_a_decision_is_a_row_and_the_aliases_follow(lake: Lake, a_run: Callable[[str], str], model: str) -> None:
    first, second = a_run("first"), a_run("second")
    done = enact(lake, decision(first, challenger=second), standing(lake, model), "run 1", model)
    assert done["is_changed"] and done["champion_before"] == ""
    assert registry.champion(model) == done["champion_version"]
    assert registry.alias(model, registry.CHALLENGER) == done["challenger_version"] != done["champion_version"]
    again = enact(lake, decision(first, challenger=second), standing(lake, model), "run 1", model)
    assert again["champion_version"] == done["champion_version"] and again["is_changed"]
    page = MlflowClient().get_model_version(model, done["champion_version"]).description
    assert "| als | 0.2000 | +0.1000 (+0.0500 to +0.1500) |  | yes |" in page
    (row,) = [row for row in rows(lake) if row["model_name"] == model]
    assert (row["action"], row["decided_by"], row["n_users"]) == ("promote", "gate", 100)
    kept = enact(lake, decision("", "keep", challenger=second), standing(lake, model), "run 2", model)
    assert not kept["is_changed"] and kept["champion_version"] == done["champion_version"]
    assert registry.champion(model) == done["champion_version"]


def test_of_two_trainings_that_finish_together_one_sets_the_champion(
    lake: Lake, a_run: Callable[[str], str], model: str
) -> None:
    runs = [a_run(f"training {n}") for n in range(4)]
    before = standing(lake, model)
    with ThreadPoolExecutor(len(runs)) as pool:
        done = list(pool.map(lambda run: enact(lake, decision(run), before, f"at once {run}", model), runs))
    (winner,) = [one for one in done if one["is_changed"]]
    assert registry.champion(model) == winner["champion_version"]
    for one in done:
        if one is not winner:
            assert one["action"] == "late"
            assert one["reason"].startswith(f"Too late: version {winner['champion_version']} became champion while")
    assert sum(row["action"] == "promote" for row in rows(lake) if row["model_name"] == model) == 1


def test_killed_before_the_alias_the_next_try_moves_it(
    lake: Lake, a_run: Callable[[str], str], model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, before = a_run("killed"), standing(lake, model)
    with monkeypatch.context() as broken:
        broken.setattr(registry, "set_alias", lambda *_: (_ for _ in ()).throw(RegistryError("gone")))
        with pytest.raises(RegistryError):
            enact(lake, decision(run), before, "killed run", model)
    assert registry.champion(model) is None
    done = enact(lake, decision(run), before, "killed run", model)
    assert registry.champion(model) == done["champion_version"]


def test_while_mlflow_is_away_nothing_is_half_registered(
    lake: Lake, a_run: Callable[[str], str], model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, before = a_run("away"), standing(lake, model)
    with monkeypatch.context() as away:
        away.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
        with pytest.raises(RegistryError, match="MLflow") as told:
            enact(lake, decision(run), before, "away", model)
    assert told.value.is_transient, "so that the task is tried again"
    assert registry.champion(model) is None
    assert not [row for row in rows(lake) if row["model_name"] == model]
    done = enact(lake, decision(run), before, "away", model)
    assert registry.champion(model) == done["champion_version"] == "1"


def test_a_person_overrules_the_gate(lake: Lake, a_run: Callable[[str], str], model: str) -> None:
    first, second = a_run("of the gate"), a_run("of the person")
    enact(lake, decision(first, challenger=second), standing(lake, model), "gate's run", model)
    challenger = registry.alias(model, registry.CHALLENGER)
    done = enacting.overrule(
        lake, SCHEMA, version="", why="the gate's metric misses it", who="ada", decision_id="by hand", decided_at=AT,
        model=model,
    )  # fmt: skip
    assert registry.champion(model) == challenger == done["champion_version"]
    assert registry.alias(model, registry.CHALLENGER) is None, "the champion is no challenger"
    assert done["decided_by"] == "ada" and "ada made version" in done["reason"] and "metric misses it" in done["reason"]
    words = {"who": "ada", "decision_id": "x", "decided_at": AT, "model": model}
    with pytest.raises(TrainingError, match="needs a reason"):
        enacting.overrule(lake, SCHEMA, version="1", why=" ", **words)  # type: ignore[arg-type]
    with pytest.raises(RegistryError, match="99"):
        enacting.overrule(lake, SCHEMA, version="99", why="because", **words)  # type: ignore[arg-type]


def test_what_a_person_rolled_back_is_no_champion_again(
    fresh_lake: Lake, a_run: Callable[[str], str], model: str
) -> None:
    first, second = a_run("before"), a_run("rolled back")
    one = enact(fresh_lake, decision(first), standing(fresh_lake, model), "first", model)["champion_version"]
    begun = standing(fresh_lake, model)
    two = enact(fresh_lake, decision(second), begun, "second", model)["champion_version"]
    rows_of = [("publish", "r1", one), ("publish", "r2", two), ("rollback", "r1", one)]
    asked = ledger.Asked("act", "ada", "it lies", AT)
    ledger.add(
        fresh_lake,
        lambda _: [ledger.row(*row[:2], asked, model_name=model, model_version=row[2]) for row in rows_of],
        fence=1,
        schema=arrow_schema(RELEASES),
    )
    registry.set_alias(model, registry.CHAMPION, one)  # as the rollback does
    assert not enact(fresh_lake, decision(second), begun, "second", model)["is_changed"], "the task is tried again"
    again = enact(fresh_lake, decision(second), standing(fresh_lake, model), "third", model)
    assert again["action"] == "keep" and again["champion_version"] == one
    assert again["reason"].startswith(f"The champion stays, for version {two} of the model was rolled back")
    assert registry.champion(model) == one
    other = enact(fresh_lake, decision(a_run("new")), standing(fresh_lake, model), "fourth", model)
    assert other["is_changed"] and registry.champion(model) == other["champion_version"]
    change = record.newest_change(fresh_lake, model)
    assert change is not None and change.row["champion_version"] == other["champion_version"]
    assert record.newest_change(fresh_lake, "another") is None
