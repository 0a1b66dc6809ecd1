"""The gate in running services, on data that can show a difference: MovieLens 100K, with a search for parameters."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from marquee import registry
from marquee.lake import tables
from marquee.releases import connect

pytestmark = [pytest.mark.end_to_end, pytest.mark.slow]

#: Of the ratings on the test side: 132 users are judged then. Of the latest 20 % there are 107, and they show nothing.
SHARE = "0.3"


@pytest.fixture(scope="module")
def promoted(own_installation: Any, shared_data: Path) -> str:
    """What the first training with a search printed; ingest alone came before."""
    source = shared_data / "ml-100k"
    if not (source / "u.data").exists():
        pytest.skip(f"MovieLens 100K is not at {source}")
    with own_installation.client() as client:
        client.dag("train_recommender")
        client._send("PATCH", "/dags/train_recommender", json={"is_paused": True})
    done = own_installation.marquee("ingest", str(source), "--no-chain")
    assert done.returncode == 0, done.stdout + done.stderr
    with own_installation.client() as client:
        client.unpause("train_recommender")
        waiting = client.downstream("ingest_ratings", client.last_run("ingest_ratings")[0])
        for dag_id, run_id in waiting:
            client.follow(dag_id, run_id)
    return trained(own_installation, "--rank", "16", "--tuning-trials", "8", "--test-share", SHARE)


@pytest.fixture
def in_mlflow(own_installation: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in own_installation.variables.items():
        if name.startswith("MLFLOW_TRACKING"):
            monkeypatch.setenv(name, value)


def trained(installation: Any, *words: str) -> str:
    done = installation.marquee("train", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return str(done.stdout)


def decisions(installation: Any) -> list[dict[str, Any]]:
    """Newest last."""
    version = tables.current_version(installation.lake, "decisions")
    assert version is not None
    rows = [row for batch in tables.read_table(installation.lake, "decisions", version) for row in batch.to_pylist()]
    return sorted(rows, key=lambda row: row["decided_at"])


def test_what_beats_the_floor_by_more_than_luck_is_the_champion(
    own_installation: Any, promoted: str, in_mlflow: None
) -> None:
    row = decisions(own_installation)[-1]
    verdicts = {one["name"]: one for one in json.loads(row["verdicts"])}
    assert "als-tuned" in verdicts and "tune[0]" in promoted
    assert row["action"] in ("promote", "refresh"), row["reason"]
    assert verdicts[row["name"]]["beyond_floor"]["low"] > 0 and not verdicts[row["name"]]["broken"]
    assert registry.champion("marquee") == row["champion_version"]
    assert row["reason"] in promoted
    with connect(own_installation.settings.var / "serving") as connection:
        (published,) = connection.execute("SELECT model_version, n_users FROM release").fetchall()
    assert published == (row["champion_version"], 943)


def test_the_runs_link_to_each_other(own_installation: Any, promoted: str, in_mlflow: None) -> None:
    import httpx

    row = decisions(own_installation)[-1]
    run = registry.read_version("marquee", row["champion_version"])
    assert run.tags["airflow.run_id"] == row["decision_id"]
    with own_installation.client() as client:
        (task, *_) = [
            task for task in client.tasks("train_recommender", row["decision_id"]) if task.task_id == "candidate"
        ]
        path = f"/dags/train_recommender/dagRuns/{row['decision_id']}/taskInstances/candidate/links"
        links = client._send("GET", path, params={"map_index": str(task.map_index)}).json()["extra_links"]
        kept = client.xcom("train_recommender", row["decision_id"], "candidate", map_index=task.map_index)
    assert links["MLflow run"] == kept["url"] and own_installation.settings.mlflow_uri in links["MLflow run"]
    assert httpx.get(run.tags["airflow.url"], trust_env=False).is_success


@pytest.fixture(scope="module")
def overflowing(own_installation: Any, promoted: str) -> str:
    """A training whose own candidate can't be fitted: alpha is beyond float32."""
    before = decisions(own_installation)[-1]
    printed = trained(own_installation, "--rank", "8", "--alpha", "3e38", "--test-share", SHARE)
    assert decisions(own_installation)[-1] != before
    return printed


def test_a_candidate_that_fails_is_told_and_the_others_go_on(own_installation: Any, overflowing: str) -> None:
    verdicts = {one["name"]: one for one in json.loads(decisions(own_installation)[-1]["verdicts"])}
    assert "not judged" in verdicts["als-implicit-rank-8"]["reason"]
    judged = [one for one in verdicts.values() if one["value"] is not None]
    assert {"popular"} < {one["name"] for one in judged}
    assert "als-implicit-rank-8 is not judged" in overflowing


def test_a_worse_one_is_no_champion_until_a_person_says_so(
    own_installation: Any, overflowing: str, in_mlflow: None, command_lines: Callable[..., Any]
) -> None:
    champion = registry.champion("marquee")
    printed = trained(own_installation, "--rank", "1", "--iterations", "1", "--test-share", SHARE)
    row = decisions(own_installation)[-1]
    assert row["action"] != "promote" and "als-implicit-rank-1" in printed
    challenger = registry.alias("marquee", registry.CHALLENGER)
    assert challenger and challenger != champion
    done = own_installation.marquee("promote", "--why", "to see it in the shop window")
    assert done.returncode == 0, done.stdout + done.stderr
    assert registry.champion("marquee") == challenger
    row = decisions(own_installation)[-1]
    assert (row["action"], row["decided_by"], row["champion_before"]) == ("overrule", "admin", champion)
    assert "to see it in the shop window" in row["reason"]
    with connect(own_installation.settings.var / "serving") as connection:
        (published,) = connection.execute("SELECT model_version FROM release").fetchall()
    assert published == (challenger,)
