"""What services find on disk before they start."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import stat
from pathlib import Path

import pytest

from marquee.credentials import credentials
from marquee.errors import ServiceError
from marquee.services import state
from marquee.services.environment import environment
from marquee.settings import Settings


def journal_mode(database: Path) -> str:
    with contextlib.closing(sqlite3.connect(database)) as connection:
        return str(connection.execute("PRAGMA journal_mode").fetchone()[0])


def test_logins_are_for_the_owner_alone(tmp_path: Path) -> None:
    given = Settings(var=tmp_path)
    secret = credentials(given)
    state.prepare(given, secret)
    state.prepare(given, secret)
    files = {tmp_path / name for name in ("s3/s3.json", "airflow/passwords.json", "mlflow/auth.ini")}
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert json.loads((tmp_path / "airflow" / "passwords.json").read_text()) == {"admin": secret.airflow_password}
    assert secret.mlflow_password not in (tmp_path / "mlflow" / "auth.ini").read_text()
    assert not list(tmp_path.rglob(".*.json.*"))


def test_a_database_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "mlflow").mkdir()
    broken = tmp_path / "mlflow" / "mlflow.db"
    broken.write_text("no database, but a text that is long enough to be looked at" * 20)
    with pytest.raises(ServiceError, match=r"mlflow\.db can't be used \(file is not a database\)"):
        state.prepare(Settings(var=tmp_path), credentials(Settings(var=tmp_path)))


def test_a_long_log_is_put_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = Settings(var=tmp_path)
    monkeypatch.setattr(state, "LOG_BYTES", 10)
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "services.log").write_text("long enough")
    state.prepare(given, credentials(given))
    assert [file.name for file in (tmp_path / "logs").iterdir()] == ["services.log.1"]


def test_airflows_database_is_made_beside_and_waits_for_no_reader(tmp_path: Path) -> None:
    given = Settings(var=tmp_path)
    state.prepare(given, credentials(given))
    # what a killed migration leaves
    (tmp_path / "airflow" / "airflow.db.new").write_text("half")
    assert not state.is_migrated(given)
    state.migrate(given, environment(given))
    assert state.is_migrated(given)
    database = tmp_path / "airflow" / "airflow.db"
    assert journal_mode(database) == "wal"
    assert not list(tmp_path.glob("airflow/airflow.db.new*"))
    state.migrate(given, environment(given))
    assert state.is_migrated(given)


def test_a_database_of_an_unknown_version_says_where_to_read(tmp_path: Path) -> None:
    given = Settings(var=tmp_path)
    state.prepare(given, credentials(given))
    with contextlib.closing(sqlite3.connect(tmp_path / "airflow" / "airflow.db")) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("INSERT INTO alembic_version VALUES ('of-the-future')")
        connection.commit()
    with pytest.raises(ServiceError, match=r"can't be made ready \(exit code \d+\): read the end of .*migrate\.log"):
        state.migrate(given, environment(given))
    assert not state.is_migrated(given)
