"""A model in a real MLflow server, for releases to be of."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from mlflow import MlflowClient

N_VERSIONS = 4


@pytest.fixture
def model(
    mlflow_server: dict[str, str], monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[str]:
    """A registered model of the test's own with the versions 1 to 4, the first of them champion."""
    for name, value in mlflow_server.items():
        monkeypatch.setenv(name, value)
    client = MlflowClient()
    name = re.sub(r"\W+", "-", str(request.node.name))
    experiment = client.create_experiment(name)
    client.create_registered_model(name)
    for _ in range(N_VERSIONS):
        run = client.create_run(experiment)
        client.create_model_version(name, source=f"runs:/{run.info.run_id}/model", run_id=run.info.run_id)
    client.set_registered_model_alias(name, "champion", "1")
    yield name
