"""Airflow's connections as the rooms below see them; what a wrong one says, with a real S3 server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from marquee.errors import LakeError
from marquee.lake import tables
from marquee.lake.objects import Lake
from marquee.lake.raw import read_manifest, stage
from marquee.settings import settings
from marquee.sources import locate, recognise
from plugins.connections import lake, mlflow_environment


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Lake], None]]:
    """A function that sets the connection and the bucket as the services do."""

    def given(of: Lake) -> None:
        extra = {"endpoint_url": of.endpoint, "region_name": of.region}
        connection = {"conn_type": "aws", "login": of.access_key, "password": of.secret_key, "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))
        monkeypatch.setenv("MARQUEE_S3__BUCKET", of.bucket)
        settings.cache_clear()

    yield given
    settings.cache_clear()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    file = tmp_path / "ratings.csv"
    file.write_text("userId,movieId,rating,timestamp\n1,2,3.0,4\n")
    return file


def stage_it(source: Path) -> str:
    """What the task `stage` does with its lake."""
    return stage(lake(), recognise(locate(str(source), source.parent)), "2026-01-01T00:00:00+00:00").batch


def test_the_lake_is_that_of_the_connection(connect: Callable[[Lake], None], fresh_lake: Lake, source: Path) -> None:
    connect(fresh_lake)
    assert lake() == fresh_lake
    assert read_manifest(fresh_lake, stage_it(source)).name == "ratings.csv"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"bucket": "not-there"}, "Bucket not-there does not exist at {endpoint} (wanted: "),
        ({"bucket": "not-there"}, "create it, or set s3.bucket (MARQUEE_S3__BUCKET) to one that does."),
        ({"secret_key": "a-wrong-secret"}, "set s3.secret_key (MARQUEE_S3__SECRET_KEY) to the one of that access key."),
        ({"access_key": "NOBODY"}, "set s3.access_key (MARQUEE_S3__ACCESS_KEY) to one that it knows."),
    ],
)
def test_a_wrong_connection_is_a_sentence_and_works_when_mended(
    connect: Callable[[Lake], None], fresh_lake: Lake, source: Path, wrong: dict[str, str], words: str
) -> None:
    connect(Lake(**{**fields(fresh_lake), **wrong}))
    with pytest.raises(LakeError) as caught:
        stage_it(source)
    assert words.format(endpoint=fresh_lake.endpoint) in str(caught.value)
    assert not caught.value.is_transient
    for secret in (fresh_lake.secret_key, "a-wrong-secret"):
        assert secret not in str(caught.value)
    connect(fresh_lake)
    assert read_manifest(fresh_lake, stage_it(source)).name == "ratings.csv"


@pytest.mark.parametrize("wrong", [{"bucket": "not-there"}, {"secret_key": "a-wrong-secret"}])
def test_accept_and_its_like_say_the_same(
    connect: Callable[[Lake], None], fresh_lake: Lake, wrong: dict[str, str]
) -> None:
    connect(Lake(**{**fields(fresh_lake), **wrong}))
    for call in (
        lambda: tables.load_prepared(lake(), "ratings", "a" * 64),
        lambda: tables.current_version(lake(), "ratings"),
    ):
        with pytest.raises(LakeError, match=r"set s3\.(bucket|secret_key)"):
            call()


def fields(of: Lake) -> dict[str, str]:
    return {name: getattr(of, name) for name in ("endpoint", "region", "bucket", "access_key", "secret_key")}


@pytest.mark.parametrize(
    ("connection", "uri"),
    [
        ({"host": "http://127.0.0.1:5000"}, "http://127.0.0.1:5000"),
        ({"host": "mlflow.example", "schema": "https", "port": 8443}, "https://mlflow.example:8443"),
        ({"host": "mlflow", "port": 5000}, "http://mlflow:5000"),
        ({"host": "https://host/prefix"}, "https://host/prefix"),
    ],
)
def test_mlflow_by_its_connection(monkeypatch: pytest.MonkeyPatch, connection: dict[str, str], uri: str) -> None:
    given = {"conn_type": "http", "login": "me", "password": "secret", **connection}
    monkeypatch.setenv("AIRFLOW_CONN_MLFLOW_DEFAULT", json.dumps(given))
    assert mlflow_environment() == {
        "MLFLOW_TRACKING_URI": uri,
        "MLFLOW_TRACKING_USERNAME": "me",
        "MLFLOW_TRACKING_PASSWORD": "secret",
    }
