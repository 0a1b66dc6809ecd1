"""The endpoint: real releases, a real MLflow for histories, and the real server where releases switch under it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pyarrow as pa
import pytest
from fastapi.testclient import TestClient

from marquee import registry, releases
from marquee.recommendations import Recommendations
from marquee.recommender_files import RecommenderFiles
from marquee.serving.http import create_app
from marquee.serving.models import Models
from marquee.settings import PROJECT
from tests.marquee.serving.releases_made import inputs, publish

MODEL = "of-the-endpoint"


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    publish(tmp_path, "r1", ["1", "O'Neill/2"])
    with Recommendations(tmp_path) as recommendations:
        yield TestClient(create_app(recommendations, Models(tmp_path / "models")))


def test_a_users_list(client: TestClient) -> None:
    told = client.get("/users/1/recommendations", params={"k": 2}).json()
    assert (told["release_id"], told["user_id"]) == ("r1", "1")
    assert told["recommendations"] == [
        {"position": place, "item_id": f"i{place - 1}", "title": "r1", "score": 1 / place, "source": "als",
         "because": [{"item_id": "i3", "title": "Nine", "share": 0.5}]}
        for place in (1, 2)
    ]  # fmt: skip


def test_somebody_unknown_gets_popular_items(client: TestClient) -> None:
    told = client.get("/users/nobody/recommendations", params={"k": 1}).json()["recommendations"]
    assert [(row["item_id"], row["source"], row["score"]) for row in told] == [("i0", "popular", 8.0)]
    scopes = {scope: client.get("/popular", params={"scope": scope, "k": 1}).json() for scope in ("overall", "recent")}
    assert {scope: told["items"][0]["item_id"] for scope, told in scopes.items()} == {"overall": "i0", "recent": "i3"}


def test_similar_items(client: TestClient) -> None:
    told = client.get("/items/i0/similar").json()
    assert told["items"] == [{"position": 1, "item_id": "i1", "title": "r1", "similarity": 1.0}]
    assert client.get("/items/i2/similar").json()["items"] == []
    missing = client.get("/items/nothing/similar")
    assert missing.status_code == 404
    assert missing.json()["detail"] == "Release r1 has no item 'nothing': take an id from its table items."


def test_an_answer_is_kept_while_the_release_is_the_same(client: TestClient, tmp_path: Path) -> None:
    for path in ("/users/1/recommendations", "/items/i0/similar", "/popular", "/release"):
        first = client.get(path)
        again = client.get(path, headers={"If-None-Match": first.headers["etag"]})
        assert (first.status_code, again.status_code, again.content) == (200, 304, b"")
        assert "no-cache" in again.headers["cache-control"]
    publish(tmp_path, "r2", ["1"])
    after = client.get("/users/1/recommendations", headers={"If-None-Match": first.headers["etag"]})
    assert (after.status_code, after.json()["release_id"]) == (200, "r2")
    assert client.get("/health").json() == {"status": "ok", "release_id": "r2"}


@pytest.mark.parametrize(
    ("history", "said"),
    [
        ({"items": []}, "items: list should have at least 1 item"),
        ({"items": ["secret-item"], "ratings": [1.0, 2.0]}, "1 items and 2 ratings"),
        ({"items": ["secret-item"], "rating": [1.0]}, "rating: extra inputs are not permitted"),
        ({"items": ["secret-item"], "ratings": ["secret-rating"]}, "ratings.0: input should be a valid number"),
    ],
)
def test_a_wrong_request_is_told_in_a_sentence(client: TestClient, history: dict[str, object], said: str) -> None:
    answer = client.post("/recommendations", json=history)
    assert answer.status_code == 422
    assert said in answer.json()["detail"] and "secret" not in answer.text
    assert client.get("/users/1/recommendations", params={"k": 0}).status_code == 422
    assert client.get("/nothing").json()["detail"].startswith("There is nothing at /nothing")


def test_a_broken_release_is_told(client: TestClient, tmp_path: Path) -> None:
    path = tmp_path / "releases" / "r9.duckdb"
    path.write_bytes(b"no database at all" * 1000)
    releases.switch(tmp_path, "r9")
    answer = client.get("/users/1/recommendations")
    assert answer.status_code == 503 and "can't be opened" in answer.json()["detail"]


def test_the_description_tells_every_address(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert paths.keys() == {
        "/users/{user_id}/recommendations", "/items/{item_id}/similar", "/popular", "/release", "/recommendations",
        "/health",
    }  # fmt: skip


def registered(favourite: int) -> str:
    """A version of a model whose factors say that everybody who rated i0 likes one item above all."""
    item_factors = np.full((4, 2), 0.1, np.float32)
    item_factors[[0, favourite]] = (1.0, 0.5), (2.0, 1.0)
    files = RecommenderFiles(
        user_ids=pa.array(["a-person"]),
        item_ids=pa.array([f"i{item}" for item in range(4)]),
        titles=pa.array([f"Title {item}" for item in range(4)]),
        n_ratings=np.array([4, 3, 2, 1]),
        user_factors=np.ones((1, 2), np.float32),
        item_factors=item_factors,
        seen_indptr=np.array([0, 1]),
        seen_indices=np.array([1], np.int32),
        source="als",
        problem={
            "implicit": True, "regularization": 0.1, "alpha": 1.0, "unobserved_weight": 0.1,
            "regularization_exponent": None,
        },
        seen_ratings=np.ones(1, np.float32),
    )  # fmt: skip
    run = registry.log_candidate(
        experiment="endpoint", key=f"{MODEL} {favourite}", name="als", params={"rank": 2}, metrics={}, figures={},
        tags={}, files=files,
    )  # fmt: skip
    return registry.register(run, MODEL)


def released(folder: Path, release_id: str, version: str) -> None:
    given = inputs(release_id, ["1"])
    stamp = given["release"].to_pylist()[0] | {"model_name": MODEL, "model_version": version}
    releases.build(folder, release_id, given | {"release": pa.Table.from_pylist([stamp])})
    releases.switch(folder, release_id)


def test_a_history_is_folded_in_by_the_model_of_the_release(
    mlflow_server: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in mlflow_server.items():
        monkeypatch.setenv(name, value)
    for number, favourite in enumerate((2, 3), start=1):
        released(tmp_path, f"r{number}", registered(favourite))
    client = TestClient(create_app(Recommendations(tmp_path), Models(tmp_path / "models")))

    def asked() -> tuple[str, str]:
        told = client.post("/recommendations", json={"items": ["i0", "nothing"], "ratings": [5.0, 1.0], "k": 2}).json()
        assert told["unknown_items"] == ["nothing"]
        assert {row["source"] for row in told["recommendations"]} == {"fold_in"}
        assert "i0" not in {row["item_id"] for row in told["recommendations"]}
        return told["release_id"], told["recommendations"][0]["item_id"]

    assert asked() == ("r2", "i3")
    releases.switch(tmp_path, "r1")
    assert asked() == ("r1", "i2")
    kept = b"".join(path.read_bytes() for path in (tmp_path / "models").rglob("*") if path.is_file())
    assert b"a-person" not in kept, "what is kept for folding in knows nobody"


def test_the_server_answers_while_releases_switch(tmp_path: Path) -> None:
    serving = tmp_path / "serving"
    for release_id in ("r1", "r2"):
        publish(serving, release_id, ["1"])
    command = [sys.executable, "-m", "marquee.cli", "serve", "--port", "0"]
    environment = {**os.environ, "MARQUEE_VAR": str(tmp_path), "PYTHONPATH": str(PROJECT), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=tmp_path) as server:
        try:
            assert server.stdout is not None
            address = server.stdout.readline().split()[0]
            is_over, seen, wrong = threading.Event(), set(), []

            def ask() -> None:
                with httpx.Client(base_url=address, trust_env=False) as http:
                    while not is_over.is_set():
                        answer = http.get("/users/1/recommendations")
                        told = answer.json()
                        names = {told["release_id"], *(row["title"] for row in told["recommendations"])}
                        seen.update(names)
                        if answer.status_code != 200 or len(names) != 1:
                            wrong.append(told)

            threads = [threading.Thread(target=ask) for _ in range(4)]
            for thread in threads:
                thread.start()
            for number in range(20):
                releases.switch(serving, ("r1", "r2")[number % 2])
                is_over.wait(0.1)
            is_over.set()
            for thread in threads:
                thread.join()
            assert wrong == [] and seen == {"r1", "r2"}
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(20)
