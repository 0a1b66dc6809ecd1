"""The gate in running services, on data that can show a difference: MovieLens 100K, with a search for parameters."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from marquee import registry
from marquee.lake import raw, tables
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


#: The ratings that speak for the first place of each list, with their lines.
TRACED = """
    SELECT told.user_id, told.reason.item_id AS item_id, told.reason."share" AS part,
        rated.rating, rated.source_sha256, rated.source_file, rated.source_line
    FROM (SELECT user_id, unnest(because) AS reason FROM recommendations WHERE position = 1) AS told
    LEFT JOIN lake_ratings AS rated ON rated.user_id = told.user_id AND rated.item_id = told.reason.item_id
"""


def test_the_ratings_that_speak_for_a_row_are_lines_of_the_raw_file(
    own_installation: Any, promoted: str, shared_data: Path
) -> None:
    told = json.loads(own_installation.marquee("sql", TRACED, "--json").stdout)
    assert len({row["user_id"] for row in told}) > 900 and all(row["part"] > 0 for row in told)
    (sha256,) = {row["source_sha256"] for row in told}
    manifest = raw.manifests(own_installation.lake, sha256)[0]
    assert {row["source_file"] for row in told} == {"u.data"} <= {file.name for file in manifest.files}
    key = raw.file_key(sha256, "u.data")
    kept = own_installation.lake.client().get_object(Bucket="marquee", Key=key)["Body"].read()
    assert kept == (shared_data / "ml-100k" / "u.data").read_bytes()
    lines = kept.decode().splitlines()
    for row in told:
        user, item, rating, _ = lines[row["source_line"] - 1].split("\t")
        assert (user, item, float(rating)) == (row["user_id"], row["item_id"], row["rating"])


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
    row = next(one for one in releases_of(own_installation) if one["release_id"] == current(own_installation))
    assert (row["who"], row["why"]) == ("admin", "to see it in the shop window")


def releases_of(installation: Any) -> list[dict[str, Any]]:
    version = tables.current_version(installation.lake, "releases")
    assert version is not None
    rows = [row for batch in tables.read_table(installation.lake, "releases", version) for row in batch.to_pylist()]
    return sorted(rows, key=lambda row: row["sequence"])


def current(installation: Any) -> str:
    with connect(installation.settings.var / "serving") as connection:
        ((release_id,),) = connection.execute("SELECT release_id FROM release").fetchall()
    return str(release_id)


@pytest.fixture(scope="module")
def rolled_back(own_installation: Any, promoted: str) -> dict[str, Any]:
    done = own_installation.marquee("rollback", "--why", "people complain", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    row = releases_of(own_installation)[-1]
    assert (row["action"], row["who"], row["why"]) == ("rollback", "admin", "people complain")
    return row


def test_a_rollback_takes_model_and_tables_back_together(
    own_installation: Any, rolled_back: dict[str, Any], in_mlflow: None
) -> None:
    assert registry.champion("marquee") == rolled_back["model_version"]
    assert current(own_installation) == rolled_back["release_id"] != rolled_back["previous_release_id"]
    printed = own_installation.marquee("releases").stdout
    assert "people complain" in printed and rolled_back["previous_release_id"] in printed


def test_what_was_rolled_back_comes_back_by_a_persons_word_only(
    own_installation: Any, rolled_back: dict[str, Any], in_mlflow: None
) -> None:
    gone = next(row for row in releases_of(own_installation) if row["release_id"] == rolled_back["previous_release_id"])
    refused = own_installation.marquee("publish", "--model-version", gone["model_version"])
    assert refused.returncode != 0 and "was rolled back" in refused.stdout + refused.stderr
    assert current(own_installation) == rolled_back["release_id"]
    done = own_installation.marquee(
        "publish", "--model-version", gone["model_version"], "--why", "they liked it after all"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert current(own_installation) == gone["release_id"] and registry.champion("marquee") == gone["model_version"]


def test_a_release_is_fetched_to_another_machine(
    own_installation: Any, rolled_back: dict[str, Any], tmp_path: Path
) -> None:
    done = own_installation.marquee("releases", "--plot", str(tmp_path / "churn.png"))
    assert done.returncode == 0 and (tmp_path / "churn.png").read_bytes().startswith(b"\x89PNG")
    here = own_installation.settings.var / "serving" / "releases" / f"{rolled_back['release_id']}.duckdb"
    before = here.read_bytes()
    here.unlink()
    done = own_installation.marquee("fetch-release", rolled_back["release_id"])
    assert done.returncode == 0, done.stdout + done.stderr
    assert here.read_bytes() == before
