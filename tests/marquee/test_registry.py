"""The registry, on a real MLflow server with SQLite, artifacts in a folder, and its basic-auth app."""

from __future__ import annotations

import json
import math
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from matplotlib.figure import Figure

from marquee import factor_model, registry
from marquee.errors import RegistryError
from marquee.recommender_files import RecommenderFiles

EXPERIMENT = "tests"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(autouse=True)
def client(mlflow_server: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Any:
    import mlflow

    for name, value in mlflow_server.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    return mlflow.MlflowClient(mlflow_server["MLFLOW_TRACKING_URI"])


def files(seed: int = 0, n_users: int = 5, n_items: int = 12, rank: int = 3) -> RecommenderFiles:
    rng = np.random.default_rng(seed)
    return RecommenderFiles(
        user_ids=pa.array([f"user {user}" for user in range(n_users)]),
        item_ids=pa.array([str(item) for item in range(n_items)]),
        titles=pa.array([f"Title {item}" for item in range(n_items)]),
        n_ratings=rng.integers(0, 9, n_items),
        user_factors=rng.normal(size=(n_users, rank)).astype(np.float32),
        item_factors=rng.normal(size=(n_items, rank)).astype(np.float32),
        seen_indptr=np.arange(0, 2 * n_users + 1, 2),
        seen_indices=np.tile(np.arange(2, dtype=np.int32), n_users),
        source="als",
    )


def candidate(key: str, **changed: Any) -> str:
    figure = Figure()
    figure.subplots().plot([1, 2], [3, 4])
    configuration = {"name": f"als-{key}", "model": "spark-als", "params": {"rank": 3}}
    arguments: dict[str, Any] = {
        "experiment": EXPERIMENT,
        "key": key,
        "name": f"als-{key}",
        "params": {"model": "spark-als", "rank": 3},
        "metrics": {"ndcg_at_10": 0.12, "floor_ndcg_at_10": 0.08, "rmse": math.nan},
        "figures": {"metrics_by_k.png": figure},
        "tags": {
            "airflow.run_id": "manual__1",
            "marquee.snapshot": json.dumps({"ratings_version": 3, "raw_sha256": ["aa"]}),
            "marquee.candidate": json.dumps(configuration),
        },
        "files": files(),
    }
    return registry.log_candidate(**arguments | changed)


def test_a_candidate_is_kept_with_all_that_belongs_to_it(client: Any) -> None:
    run_id = candidate("whole")
    run = client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "als-whole"
    assert run.data.params == {"model": "spark-als", "rank": "3"}
    assert run.data.metrics == {"ndcg_at_10": 0.12, "floor_ndcg_at_10": 0.08}
    assert run.data.tags["airflow.run_id"] == "manual__1"
    assert "| ndcg_at_10 | 0.1200 |  | 0.0800 | 1.50 |" in run.data.tags["mlflow.note.content"]
    assert [artifact.path for artifact in client.list_artifacts(run_id, "figures")] == ["figures/metrics_by_k.png"]
    found = registry.find_candidate(EXPERIMENT, "whole")
    assert found is not None
    assert (found.run_id, found.name, found.source, found.rank) == (run_id, "als-whole", "als", 3)
    assert found.metrics == run.data.metrics

    assert "popularity floor" in client.get_experiment(run.info.experiment_id).tags["mlflow.note.content"]
    model = client.get_logged_model(found.model_id)
    assert {metric.key: metric.value for metric in model.metrics} == run.data.metrics
    assert model.params["rank"] == "3"


def test_the_model_has_signature_example_and_pinned_requirements(client: Any, tmp_path: Path) -> None:
    from importlib.metadata import version

    from mlflow.artifacts import download_artifacts
    from mlflow.models import get_model_info

    run = client.get_run(candidate("whole"))
    info = get_model_info(f"models:/{run.outputs.model_outputs[0].model_id}")
    assert info.signature is not None
    assert str(info.signature.inputs) == (
        "['user_id': string (optional), 'items': Array(string) (optional), 'ratings': Array(double) (optional)]"
    )
    assert [column.name for column in info.signature.outputs] == [
        "user_id",
        "position",
        "item_id",
        "title",
        "score",
        "source",
    ]
    assert [(param.name, param.default) for param in info.signature.params.params] == [("k", 10)]
    assert info.saved_input_example_info is not None
    folder = Path(download_artifacts(info.model_uri, dst_path=str(tmp_path)))
    needs = (folder / "requirements.txt").read_text().split()
    assert needs == [f"{package}=={version(package)}" for package in ("mlflow", "numpy", "pandas", "pyarrow")]


def test_the_same_key_is_the_same_run(client: Any) -> None:
    first = candidate("twice")
    assert candidate("twice", metrics={"ndcg_at_10": 0.99}) == first
    experiment = client.get_experiment_by_name(EXPERIMENT)
    runs = client.search_runs([experiment.experiment_id], "tags.`marquee.key` = 'twice'")
    assert [run.info.run_id for run in runs] == [first]


def test_a_run_that_was_cut_off_is_ended_and_made_anew(client: Any) -> None:
    candidate("other")  # makes the experiment
    experiment = client.get_experiment_by_name(EXPERIMENT)
    cut_off = client.create_run(experiment.experiment_id, tags={"marquee.key": "cut"}).info.run_id
    assert registry.find_candidate(EXPERIMENT, "cut") is None
    run_id = candidate("cut")
    assert run_id != cut_off
    assert client.get_run(cut_off).info.status == "KILLED"


def test_a_run_that_fails_is_no_candidate(client: Any) -> None:
    with pytest.raises(RegistryError, match="Can't keep candidate als-bad"):
        candidate("bad", params={"a name that MLflow refuses: §": 1})
    assert registry.find_candidate(EXPERIMENT, "bad") is None
    experiment = client.get_experiment_by_name(EXPERIMENT)
    runs = client.search_runs([experiment.experiment_id], "tags.`marquee.key` = 'bad'")
    assert [run.info.status for run in runs] == ["FAILED"]
    assert candidate("bad")


def test_a_run_is_at_most_one_version(client: Any) -> None:
    name = "versions"
    first, second = candidate("one"), candidate("two")
    assert [registry.register(run, name, "Why.") for run in (first, first, second, first)] == ["1", "1", "2", "1"]
    version = client.get_model_version(name, "1")
    assert version.run_id == first
    assert version.description.startswith(
        "Why.\n\n**als-one**\n\n| metric | this model | 95 % interval | popularity floor | ratio |"
    )
    assert "- ratings_version: `3`" in version.description
    assert version.tags["marquee.source"] == "als"
    assert f"models:/{name}@champion" in client.get_registered_model(name).description
    client.update_registered_model(name, "A person's words.")
    registry.register(first, name)
    assert client.get_registered_model(name).description == "A person's words."
    found = registry.read_version(name, "2")
    assert found.run_id == second
    assert found.metrics["ndcg_at_10"] == 0.12


def test_the_champion_moves(client: Any) -> None:
    name = "moving"
    assert registry.champion(name) is None
    assert registry.champion_candidate(name) is None
    versions = [registry.register(candidate(key), name) for key in ("one", "two")]
    assert registry.champion(name) is None
    for version in (*versions, versions[1]):
        registry.set_alias(name, registry.CHAMPION, version)
        assert registry.champion(name) == version
    assert registry.champion_candidate(name) == {"name": "als-two", "model": "spark-als", "params": {"rank": 3}}
    with pytest.raises(RegistryError, match="Can't make version 99 of moving the champion"):
        registry.set_alias(name, registry.CHAMPION, "99")
    assert registry.champion(name) == "2"


def test_a_champion_without_configuration_is_told() -> None:
    registry.set_alias("foreign", registry.CHAMPION, registry.register(candidate("foreign", tags={}), "foreign"))
    with pytest.raises(RegistryError, match="does not say how it was trained"):
        registry.champion_candidate("foreign")


def test_the_files_come_back(tmp_path: Path) -> None:
    version = registry.register(candidate("files", files=files(seed=7)), "files")
    loaded = registry.load_files("files", version, tmp_path / "into")
    assert loaded.item_factors is not None
    np.testing.assert_array_equal(loaded.item_factors, files(seed=7).item_factors)
    assert loaded.titles.equals(files().titles)


def test_a_model_that_is_no_recommender_is_told(tmp_path: Path, client: Any) -> None:
    import mlflow

    def other(model_input: list[str]) -> list[str]:
        return model_input

    experiment = mlflow.set_experiment("foreign")
    with mlflow.start_run(experiment_id=experiment.experiment_id):
        mlflow.pyfunc.log_model(
            name="other", python_model=other, registered_model_name="other", pip_requirements=["mlflow"]
        )
    with pytest.raises(RegistryError, match="holds no recommender that can be read"):
        registry.load_files("other", "1", tmp_path)


ALONE = """
import importlib.abc, json, sys

class Blocked(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("pyspark", "py4j", "marquee", "spark_jobs", "expectations"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocked())
import shutil
assert shutil.which("java") is None
import mlflow, pandas
model = mlflow.pyfunc.load_model("models:/alone@champion")
users = pandas.DataFrame({"user_id": ["user 3", "nobody", "user 0"]})
lists = model.predict(users, params={"k": 4})
assert len(model.predict(users)) == 30
assert not {"pyspark", "marquee"} & {name.partition(".")[0] for name in sys.modules}
print(json.dumps(lists.to_dict("list")))
"""


def test_the_champion_predicts_in_a_process_without_java_spark_or_this_project(tmp_path: Path) -> None:
    registry.set_alias("alone", registry.CHAMPION, registry.register(candidate("alone", files=files(seed=3)), "alone"))
    empty = tmp_path / "bin"
    empty.mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "JAVA_HOME"}
    done = subprocess.run(
        [sys.executable, "-c", ALONE],
        env={**environment, "PATH": str(empty)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    found = pd.DataFrame(json.loads(done.stdout.splitlines()[-1]))
    files(seed=3).save(tmp_path / "files")
    asked = np.array(["user 3", "nobody", "user 0"], object)
    expected = factor_model.recommend(factor_model.read_folder(tmp_path / "files"), asked, 4)
    pd.testing.assert_frame_equal(found, expected)
    assert found["source"].tolist() == ["als"] * 4 + ["popular"] * 4 + ["als"] * 4
    assert not set(found["item_id"][found["source"] == "als"]) & {"0", "1"}  # rated, so left out


def test_a_list_of_no_length_is_refused() -> None:
    import mlflow

    registry.register(candidate("alone"), "refusing")
    model = mlflow.pyfunc.load_model("models:/refusing/1")
    with pytest.raises(mlflow.exceptions.MlflowException, match="Parameter k is 0"):
        model.predict(pd.DataFrame({"user_id": ["user 1"]}), params={"k": 0})


def test_a_wrong_password_is_told_and_not_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "wrong-and-secret")
    calls = {
        "look for the champion of files": lambda: registry.champion("files"),
        "look for the run with key k": lambda: candidate("k"),
        "register run abc as files": lambda: registry.register("abc", "files"),
        "make version 1 of files the champion": lambda: registry.set_alias("files", registry.CHAMPION, "1"),
        "load version 1 of files": lambda: registry.load_files("files", "1", tmp_path),
        "read version 1 of files": lambda: registry.read_version("files", "1"),
    }
    for what, call in calls.items():
        with pytest.raises(RegistryError) as raised:
            call()
        message = str(raised.value)
        assert message.startswith(f"Can't {what}: the MLflow server at http://127.0.0.1:")
        assert "refuses user 'admin' with this password" in message
        assert "mlflow.password" in message
        assert "wrong-and-secret" not in message
        assert raised.value.__cause__ is None
        assert not raised.value.is_transient


def test_a_client_without_a_user_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_USERNAME")
    monkeypatch.delenv("MLFLOW_TRACKING_PASSWORD")
    with pytest.raises(RegistryError, match="refuses a client that names no user"):
        registry.champion("files")


def test_a_server_that_is_not_there_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://someone:secret@127.0.0.1:{free_port()}")
    started = time.monotonic()
    with pytest.raises(RegistryError, match=r"does not answer \(ConnectionError\): start it") as raised:
        registry.champion("marquee")
    assert time.monotonic() - started < 5
    assert raised.value.is_transient
    assert "secret" not in str(raised.value)


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    for call in (
        lambda: registry.register("0" * 32, "files"),
        lambda: registry.load_files("never made", "1", tmp_path),
        lambda: registry.read_version("never made", "1"),
    ):
        with pytest.raises(RegistryError, match="has no such thing") as raised:
            call()
        assert not raised.value.is_transient


def test_a_deleted_experiment_is_told(client: Any) -> None:
    client.delete_experiment(client.create_experiment("deleted"))
    assert registry.find_candidate("deleted", "any") is None
    with pytest.raises(RegistryError, match="experiment 'deleted' is deleted: restore it"):
        candidate("any", experiment="deleted")
