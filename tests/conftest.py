"""Fixtures that more than one room uses."""

from __future__ import annotations

import json
import os
import random
import secrets
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from xdist.scheduler import LoadScopeScheduling

from marquee.lake.objects import Lake

START_SECONDS = 60


class ByFile(LoadScopeScheduling):
    """Keeps the tests of a file with one process (pytest-xdist), and those that share the real services as well."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::", 1)[0]
        return "end_to_end" if "/end_to_end/" in file else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    """By marks (`--dist loadgroup`) it would do as well, if xdist 3.8 knew how pytest 9.2 names a test."""
    return ByFile(config, log)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real data sets: `MARQUEE_TEST_DATA`, else `../shared/data` beside the checkout."""
    default = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
    folder = Path(os.environ.get("MARQUEE_TEST_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"real data sets are not at {folder}: set MARQUEE_TEST_DATA to their folder")
    return folder


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    """A real S3 server (SeaweedFS) for the whole session; no bucket is made yet."""
    # Each bucket takes volumes of its own, and every test with a lake of its own has one.
    with start_s3(tmp_path_factory.mktemp("s3"), "-volume.max=4000", "-master.volumeSizeLimitMB=64") as lake:
        yield lake


@pytest.fixture(scope="session")
def lake(s3_server: Lake) -> Lake:
    """A bucket on that server, shared by the session's tests: keep to keys of your own."""
    return make_bucket(s3_server)


@pytest.fixture
def fresh_lake(s3_server: Lake) -> Lake:
    """An empty bucket on that server, for one test alone."""
    return make_bucket(s3_server)


@pytest.fixture
def small_lake(tmp_path: Path) -> Iterator[Lake]:
    """A bucket on a server of its own that holds about 30 MB, then refuses as one whose disk is full."""
    with start_s3(tmp_path / "small", "-volume.max=3", "-master.volumeSizeLimitMB=8") as server:
        yield make_bucket(server)


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A real MLflow server with SQLite, artifacts in a folder, and its basic-auth app: the variables that lead to it.

    It is shared by the session's tests: keep to experiments and models of your own.
    """
    folder = tmp_path_factory.mktemp("mlflow")
    password = secrets.token_urlsafe(16)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    config = folder / "auth.ini"
    config.write_text(
        "[mlflow]\ndefault_permission = NO_PERMISSIONS\nadmin_username = admin\n"
        f"database_uri = sqlite:///{folder}/auth.db\n"
        "auth_cache_ttl_seconds = 600\n"  # else each request computes the password's slow hash
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    environment = {
        **os.environ,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_AUTH_CONFIG_PATH": str(config),
        "MLFLOW_AUTH_ADMIN_PASSWORD": password,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(16),
    }
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    command += ["--artifacts-destination", str(folder / "artifacts"), "--app-name", "basic-auth"]
    uri = f"http://127.0.0.1:{port}"
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT, cwd=folder)
        try:
            wait_for(f"{uri}/health", process, folder / "server.log")
            yield {
                "MLFLOW_TRACKING_URI": uri,
                "MLFLOW_TRACKING_USERNAME": "admin",
                "MLFLOW_TRACKING_PASSWORD": password,
            }
        finally:
            process.terminate()
            process.wait(timeout=30)


def wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 90
    while time.monotonic() < until:
        assert process.poll() is None, log.read_text()
        try:
            if httpx.get(address, timeout=5, trust_env=False).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    raise AssertionError(f"{address} does not answer:\n{log.read_text()}")


def make_bucket(server: Lake) -> Lake:
    lake = Lake(server.endpoint, server.region, f"test-{secrets.token_hex(6)}", server.access_key, server.secret_key)
    lake.create_bucket(lake.bucket)
    return lake


@contextmanager
def start_s3(folder: Path, *options: str) -> Iterator[Lake]:
    """Run SeaweedFS on free ports with all state in `folder`; the login is random, and in a file of mode 0600.

    Another process may take a port between the look and the start: such a start is tried again with others.
    """
    access_key, secret_key = f"AK{secrets.token_hex(9).upper()}", secrets.token_urlsafe(30)
    (folder / "data").mkdir(parents=True)
    config = folder / "s3.json"
    config.touch(mode=0o600)
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    credentials = [{"accessKey": access_key, "secretKey": secret_key}]
    config.write_text(json.dumps({"identities": [{"name": "tests", "credentials": credentials, "actions": actions}]}))
    for _ in range(3):
        ports = free_ports(5)
        process = spawn_weed(folder, config, ports, options)
        try:
            if is_up(process, f"http://127.0.0.1:{ports[0]}"):
                yield Lake(f"http://127.0.0.1:{ports[0]}", "us-east-1", "none-yet", access_key, secret_key)
                return
        finally:
            end_weed(process, ports)
    raise RuntimeError(f"SeaweedFS did not start; its last lines: {(folder / 'weed.log').read_text()[-2000:]}")


def spawn_weed(folder: Path, config: Path, ports: list[int], options: tuple[str, ...]) -> subprocess.Popen[bytes]:
    s3, master, volume, filer, admin = ports
    command = [
        str(Path(sysconfig.get_path("scripts")) / "weed"), "-logtostderr=true", "mini", f"-dir={folder / 'data'}",
        "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-s3.config={config}", "-s3.autoCreateBucket=false",
        f"-s3.port={s3}", f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}",
        f"-admin.port={admin}", "-admin.ui=false", "-webdav=false", "-s3.port.iceberg=0", "-s3.port.lance=0",
        "-master.telemetry=false", *options,
    ]  # fmt: skip
    with (folder / "weed.log").open("ab") as log:
        environment = os.environ | {"GOMEMLIMIT": "512MiB"}
        # It writes `mini.options` beside its data, and some state where it is started.
        return subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, env=environment)


def end_weed(process: subprocess.Popen[bytes], ports: list[int]) -> None:
    """End the server and what it leaves. One whose disk is full tries to write its log for ever, so it is killed."""
    process.terminate()
    try:
        process.wait(3)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for port in ports:
        for left in Path("/tmp").glob(f"seaweedfs-*-*{port % 10_000}.sock"):
            if left.stem.rsplit("-", 1)[1] in (str(port), str(port + 10_000)):
                left.unlink(missing_ok=True)


def is_up(process: subprocess.Popen[bytes], endpoint: str) -> bool:
    """Whether the server answers (with 403: we have not signed) before it ends or its time is over."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            if httpx.get(endpoint, trust_env=False).status_code == 403:
                return True
        except httpx.TransportError:
            time.sleep(0.1)
    return False


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that are free, and free at + 10000 (SeaweedFS puts gRPC there), below the ephemeral ones."""
    candidates = random.SystemRandom().sample(range(11_000, 22_000), 200)
    return [port for port in candidates if is_free(port) and is_free(port + 10_000)][:count]


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
