"""The command as a person types it: help throughout, and one sentence for what goes wrong."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

from marquee import releases
from marquee.cli import app
from marquee.cli.pipelines import absolute
from marquee.services.ports import free_ports
from marquee.settings import settings

COMMANDS = (
    "demo",
    "up",
    "down",
    "status",
    "inspect",
    "ingest",
    "train",
    "promote",
    "publish",
    "releases",
    "rollback",
    "pin",
    "unpin",
    "fetch-release",
    "sql",
    "quarantine",
    "forget",
    "generate",
)


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Settings of a fresh installation whose services don't run."""
    monkeypatch.setenv("MARQUEE_VAR", str(tmp_path / "var"))
    names = ("AIRFLOW", "MLFLOW", "S3", "S3_MASTER", "S3_VOLUME", "S3_FILER", "S3_ADMIN")
    for name, port in zip(names, free_ports(7), strict=True):
        monkeypatch.setenv(f"MARQUEE_PORTS__{name}", str(port))
    # `marquee` sets these for its own process, which here is the tests'
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """A released file with a table of each kind of value."""
    folder = tmp_path / "var" / "serving"
    (folder / "releases").mkdir(parents=True)
    with duckdb.connect(str(folder / "releases" / "r1.duckdb")) as connection:
        connection.execute(
            "CREATE TABLE t AS SELECT * FROM (VALUES (1, 'a [bold]', 0.5, ['x', 'y'], DATE '2020-01-02'), "
            "(2, NULL, 'nan'::DOUBLE, [], NULL)) AS v(id, name, score, list, day)"
        )
    releases.switch(folder, "r1")
    return folder


def run(*words: str) -> tuple[int, str, str]:
    done = CliRunner(env={"COLUMNS": "200"}).invoke(app, list(words))
    return done.exit_code, done.stdout, done.stderr


def test_help_throughout() -> None:
    code, out, _ = run("--help")
    assert code == 0 and all(command in out for command in COMMANDS)
    for command in COMMANDS:
        code, out, _ = run(command, "--help")
        assert code == 0 and "Usage" in out


@pytest.mark.parametrize(
    "words", [("ingest", "ratings.csv"), ("train",), ("promote", "--why", "because"), ("publish",)]
)
def test_without_airflow_one_sentence_says_what_to_do(words: tuple[str, ...]) -> None:
    code, _, error = run(*words)
    assert code == 1
    assert "does not answer (ConnectError): run `marquee up`" in error
    assert "Traceback" not in error and len(error.strip().splitlines()) == 1


def test_status_of_what_does_not_run() -> None:
    code, out, _ = run("status")
    assert code == 1
    assert "ConnectError" in out and "none yet" in out


def test_down_where_nothing_runs() -> None:
    assert run("down") == (0, "Nothing ran.\n", "")


def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARQUEE_PORTS__S3", "many")
    code, _, error = run("up")
    assert code == 1 and "Setting ports.s3 is wrong" in error


def test_sql_as_a_table(release: Path) -> None:
    code, out, _ = run("sql", "from t order by id")
    assert code == 0
    assert "a [bold]" in out and "NULL" in out and "2 rows" in out


def test_sql_as_csv(release: Path) -> None:
    code, out, _ = run("sql", "select id, name from t order by id", "--csv")
    assert code == 0 and list(csv.reader(io.StringIO(out))) == [["id", "name"], ["1", "a [bold]"], ["2", ""]]


def test_sql_as_json_that_any_reader_takes(release: Path) -> None:
    code, out, _ = run("sql", "from t order by id", "--json")
    assert code == 0
    assert json.loads(out, parse_constant=pytest.fail) == [
        {"id": 1, "name": "a [bold]", "score": 0.5, "list": ["x", "y"], "day": "2020-01-02"},
        {"id": 2, "name": None, "score": None, "list": [], "day": None},
    ]


def test_sql_that_is_wrong_or_would_write(release: Path) -> None:
    for query in ("from nothing", "selec", "create table u (i int)", "drop table t"):
        code, _, error = run("sql", query)
        assert code == 1 and "The query can't be answered" in error and "Traceback" not in error


def test_sql_before_the_first_release() -> None:
    code, _, error = run("sql", "select 1")
    assert code == 1 and "no release" in error


def test_csv_and_json_exclude_each_other(release: Path) -> None:
    assert run("sql", "select 1", "--csv", "--json")[0] == 1


def test_generate(tmp_path: Path) -> None:
    words = ("generate", str(tmp_path / "new"), "--users", "20", "--items", "30", "--ratings", "200", "--seed", "3")
    code, out, _ = run(*words)
    assert code == 0 and "200 generated ratings" in out
    assert "was there already" in run(*words)[1]
    code, _, error = run("generate", str(tmp_path / "other"), "--users", "2", "--items", "2", "--ratings", "5")
    assert code == 1 and "Traceback" not in error


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("https://host/ml.zip", "https://host/ml.zip"),
        ("file:///tmp/ml", "file:///tmp/ml"),
        ("/abs/ml.zip", "/abs/ml.zip"),
        ("", ""),
    ],
)
def test_sources_that_stay_as_they_are(given: str, expected: str) -> None:
    assert absolute(given) == expected


def test_a_relative_path_is_where_the_person_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert absolute("ml.zip") == str(tmp_path / "ml.zip")
    assert absolute("~/ml.zip") == str(Path.home() / "ml.zip")
