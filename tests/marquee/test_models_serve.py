"""`mlflow models serve` on the registered champion, asked through HTTP, as the README shows it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pytest

from marquee import registry
from marquee.recommender_files import RecommenderFiles
from marquee.services.ports import free_ports

MODEL = "served-by-mlflow"


@pytest.fixture(scope="module")
def address(mlflow_server: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the model is served, by a process of its own."""
    (port,) = free_ports(1)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in mlflow_server.items():
            patch.setenv(name, value)
        patch.setenv(
            "PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        )  # mlflow looks for uvicorn
        version = registry.register(kept(), MODEL)
        registry.set_alias(MODEL, registry.CHAMPION, version)
        command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", f"models:/{MODEL}@champion"]
        command += ["--env-manager", "local", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
        log = tmp_path_factory.mktemp("served") / "log"
        with log.open("w") as out:
            server = subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True)
    try:
        wait(f"http://127.0.0.1:{port}/ping", log)
        yield f"http://127.0.0.1:{port}/invocations"
    finally:
        os.killpg(server.pid, signal.SIGTERM)  # mlflow's own process leaves its server behind
        server.wait(20)


def kept() -> str:
    rng = np.random.default_rng(2)
    n_users, n_items = 6, 20
    files = RecommenderFiles(
        user_ids=pa.array([str(user) for user in range(n_users)]),
        item_ids=pa.array([f"{item:02d}" for item in range(n_items)]),
        titles=pa.array([f"Title {item}" for item in range(n_items)]),
        n_ratings=rng.integers(0, 9, n_items),
        user_factors=rng.normal(size=(n_users, 3)).astype(np.float32),
        item_factors=rng.normal(size=(n_items, 3)).astype(np.float32),
        seen_indptr=np.arange(0, 2 * n_users + 1, 2),
        seen_indices=np.tile(np.arange(2, dtype=np.int32), n_users),
        source="als",
        problem={
            "implicit": True, "regularization": 0.1, "alpha": 1.0, "unobserved_weight": 0.1,
            "regularization_exponent": None,
        },
    )  # fmt: skip
    return registry.log_candidate(
        experiment="serve", key=MODEL, name="als", params={"rank": 3}, metrics={}, figures={}, tags={}, files=files
    )


def wait(url: str, log: Path) -> None:
    for _ in range(120):
        try:
            if httpx.get(url, timeout=2).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.5)
    raise AssertionError(log.read_text(encoding="utf-8"))


def ask(address: str, rows: list[dict[str, Any]], k: int) -> list[dict[str, Any]]:
    answer = httpx.post(address, json={"dataframe_records": rows, "params": {"k": k}}, timeout=30)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["predictions"])


def test_known_new_and_unknown_users_get_lists_and_each_says_its_source(address: str) -> None:
    known = ask(address, [{"user_id": "3"}, {"user_id": "nobody"}], 4)
    assert [row["source"] for row in known] == ["als"] * 4 + ["popular"] * 4
    assert [row["position"] for row in known] == [1, 2, 3, 4] * 2
    assert not {"00", "01"} & {row["item_id"] for row in known[:4]}, "rated, so left out"
    new = ask(address, [{"items": ["02", "07"], "ratings": [5.0, 3.0]}], 3)
    assert [row["source"] for row in new] == ["fold_in"] * 3
    assert not {"02", "07"} & {row["item_id"] for row in new}


def test_what_can_t_be_answered_is_a_sentence(address: str) -> None:
    answer = httpx.post(address, json={"dataframe_records": [{"user_id": "3"}], "params": {"k": 0}}, timeout=30)
    assert answer.status_code == 400 and "Parameter k is 0: ask for lists of at least 1 item." in answer.text
