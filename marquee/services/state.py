"""What each embedded service finds on disk before it starts: folders, its login files, a migrated database."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import sqlite3
import subprocess
import tempfile
from pathlib import Path

from marquee.credentials import Credentials
from marquee.errors import ServiceError
from marquee.services import ports
from marquee.settings import PROJECT, Settings

LOG_BYTES = 20_000_000


def prepare(settings: Settings, secret: Credentials) -> None:
    """Folders and files that the services read at their start; the same again changes nothing.

    Raises:
        ServiceError: one can't be written, or a database can't be used.
    """
    var = settings.var.resolve()
    try:
        _write_files(var, settings, secret)
    except OSError as error:
        raise ServiceError(
            f"The folder of state {var} can't be written ({error.strerror}: {error.filename or var}): make room or "
            "make it yours, or set MARQUEE_VAR to another folder."
        ) from None
    _use_wal(var / "mlflow" / "mlflow.db")


def _write_files(var: Path, settings: Settings, secret: Credentials) -> None:
    for folder in ("s3", "mlflow", "airflow", "logs", "serving/releases"):
        (var / folder).mkdir(parents=True, exist_ok=True)
    identity = {
        "name": "marquee",
        "credentials": [{"accessKey": secret.s3_access_key, "secretKey": secret.s3_secret_key}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    _write_private(var / "s3" / "s3.json", json.dumps({"identities": [identity]}))
    _write_private(var / "airflow" / "passwords.json", json.dumps({settings.airflow.username: secret.airflow_password}))
    _write_private(
        var / "mlflow" / "auth.ini",
        "[mlflow]\n"
        "default_permission = READ\n"
        f"database_uri = sqlite:///{var / 'mlflow' / 'auth.db'}\n"
        f"admin_username = {settings.mlflow.username}\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
        # without it each request pays for a slow password hash
        "auth_cache_ttl_seconds = 60\n",
    )
    _rotate(var / "logs" / "services.log")


def remove_sockets(settings: Settings) -> None:
    """Remove the Unix sockets that SeaweedFS keeps in /tmp, named by its ports, and leaves there."""
    for port in ports.wanted(settings):
        for socket in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):  # noqa: S108 - SeaweedFS's own choice
            with contextlib.suppress(OSError):
                socket.unlink()


def is_migrated(settings: Settings) -> bool:
    """Whether Airflow's database is there, at the version of the installed Airflow."""
    stamp = _stamp(settings)
    return _database(settings).exists() and stamp.exists() and stamp.read_text(encoding="utf-8") == _version()


def migrate(settings: Settings, environment: dict[str, str]) -> None:
    """Create Airflow's database, or bring it to the version of the installed Airflow.

    A new one is made beside and moved into place, so that a kill leaves none half made.

    Raises:
        ServiceError: `airflow db migrate` fails; says where its log is.
    """
    database = _database(settings)
    target = database if database.exists() else database.with_name(f"{database.name}.new")
    if target != database:
        for leftover in target.parent.glob(f"{target.name}*"):
            leftover.unlink()
    _use_wal(target)
    log = settings.var.resolve() / "logs" / "migrate.log"
    with log.open("wb") as stream:
        done = subprocess.run(
            ["airflow", "db", "migrate"],
            cwd=PROJECT,
            env=environment | {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{target}?timeout=60"},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode != 0:
        raise ServiceError(
            f"Airflow's database {database} can't be made ready (exit code {done.returncode}): read the end of {log}."
        )
    if target != database:
        _use_wal(target)  # as the last to close it, this moves what its log still holds into it
        target.replace(database)
    _stamp(settings).write_text(_version(), encoding="utf-8")


def _database(settings: Settings) -> Path:
    return settings.var.resolve() / "airflow" / "airflow.db"


def _stamp(settings: Settings) -> Path:
    return settings.var.resolve() / "airflow" / "migrated_to"


def _version() -> str:
    return importlib.metadata.version("apache-airflow-core")


def _use_wal(database: Path) -> None:
    """Write-ahead logging, which SQLite keeps in the file: readers and a writer don't wait for each other.

    Raises:
        ServiceError: the file is no database, or can't be written.
    """
    try:
        with contextlib.closing(sqlite3.connect(database, timeout=60)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
    except sqlite3.Error as error:
        raise ServiceError(
            f"The database {database} can't be used ({error}): see that its disk has room and its folder is yours, "
            "or put it back from a copy; removing it begins a new one."
        ) from None


def _write_private(file: Path, text: str) -> None:
    """A whole file of mode 0600, or the old one: never half of it."""
    descriptor, temporary = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
    Path(temporary).replace(file)


def _rotate(log: Path) -> None:
    if log.exists() and log.stat().st_size > LOG_BYTES:
        log.replace(log.with_name(f"{log.name}.1"))
