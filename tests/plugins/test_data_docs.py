"""Data Docs behind Airflow's login, in a real API server of its own."""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from expectations.report import INDEX_KEY
from marquee.lake.objects import Lake
from marquee.settings import PROJECT
from plugins.data_docs import key_of

PREFIX = "/some/prefix"
RUN = "validations/items/manual__2026-11-23T19:14:00+00:00/result/index.html"
START_SECONDS = 120


@dataclass(frozen=True)
class Airflow:
    """An API server: its address (with a prefix, as behind a proxy), a logged-in cookie, and the lake behind it."""

    address: str
    cookie: str
    lake: Lake

    def get(self, path: str, **options: object) -> httpx.Response:
        with httpx.Client(base_url=self.address, trust_env=False, timeout=30) as client:
            return client.get(path, **options)  # type: ignore[arg-type]

    def get_logged_in(self, path: str) -> httpx.Response:
        return self.get(path, headers={"Cookie": f"_token={self.cookie}", "Accept": "text/html"})


@pytest.fixture(scope="module")
def airflow(s3_server: Lake, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    home = tmp_path_factory.mktemp("airflow")
    lake = Lake(s3_server.endpoint, s3_server.region, "data-docs-test", s3_server.access_key, s3_server.secret_key)
    lake.create_bucket(lake.bucket)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    password = secrets.token_urlsafe(16)
    passwords = home / "passwords.json"
    passwords.touch(mode=0o600)
    passwords.write_text(json.dumps({"admin": password}))
    extra = {"endpoint_url": lake.endpoint, "region_name": lake.region}
    connection = {"conn_type": "aws", "login": lake.access_key, "password": lake.secret_key, "extra": extra}
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "MARQUEE"))} | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "false",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:viewer",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}{PREFIX}",
        "AIRFLOW_CONN_AWS_DEFAULT": json.dumps(connection),
        "MARQUEE_S3__BUCKET": lake.bucket,
        "PYTHONPATH": str(PROJECT),
        "NO_PROXY": "127.0.0.1",
    }
    command = str(Path(sysconfig.get_path("scripts")) / "airflow")
    with (home / "log.txt").open("w") as log:
        options = {"env": environment, "stdout": log, "stderr": log}
        subprocess.run([command, "db", "migrate"], check=True, **options)  # type: ignore[call-overload]
        serve = [command, "api-server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
        server = subprocess.Popen(serve, **options)  # type: ignore[call-overload]
        try:
            address = f"http://127.0.0.1:{port}{PREFIX}"
            if not is_up(f"{address}/api/v2/monitor/health", server):
                raise RuntimeError(f"Airflow's API server did not start: {(home / 'log.txt').read_text()[-2000:]}")
            login = {"username": "admin", "password": password}
            token = httpx.post(f"{address}/auth/token", json=login, trust_env=False, timeout=30).json()["access_token"]
            yield Airflow(address, token, lake)
        finally:
            server.terminate()
            server.wait(30)


def is_up(url: str, server: subprocess.Popen[bytes]) -> bool:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and server.poll() is None:
        try:
            if httpx.get(url, trust_env=False).status_code == 200:
                return True
        except httpx.TransportError:
            time.sleep(0.2)
    return False


@pytest.fixture(scope="module")
def pages(airflow: Airflow) -> None:
    for key in (INDEX_KEY, f"data_docs/{RUN}", "quality/items/run.html", "data_docs/other.txt"):
        airflow.lake.client().put_object(Bucket=airflow.lake.bucket, Key=key, Body=f"<p>{key}</p>".encode())


@pytest.mark.end_to_end
def test_nobody_comes_in_without_a_login(airflow: Airflow, pages: None) -> None:
    for path in ("/data-docs/", "/data-docs/index.html", f"/data-docs/{RUN}", "/data-docs/none.html"):
        refused = airflow.get(path)
        assert (refused.status_code, refused.json()) == (401, {"detail": "Not authenticated"})
        forged = airflow.get(path, headers={"Cookie": "_token=x.y.z"})
        assert forged.status_code == 403
        for cookie in ("", "_token=x.y.z"):
            sent = airflow.get(path, headers={"Accept": "text/html", "Cookie": cookie})
            assert sent.status_code == 307
            assert sent.headers["location"].startswith(f"{PREFIX}/api/v2/auth/login?next=")
    login = airflow.get("/data-docs/", headers={"Accept": "text/html"}, follow_redirects=True)
    assert (login.status_code, login.url.path) == (200, f"{PREFIX}/auth/login")
    assert login.url.params["next"] == f"{airflow.address}/data-docs/"


@pytest.mark.end_to_end
@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("", INDEX_KEY),
        ("index.html", INDEX_KEY),
        (RUN, f"data_docs/{RUN}"),
        (RUN.replace(":", "%3A"), f"data_docs/{RUN}"),
    ],
)
def test_pages_are_served_inert_to_who_is_logged_in(airflow: Airflow, pages: None, path: str, key: str) -> None:
    served = airflow.get_logged_in(f"/data-docs/{path}")
    assert (served.status_code, served.text) == (200, f"<p>{key}</p>")
    assert served.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in served.headers["content-security-policy"]
    assert "script-src" not in served.headers["content-security-policy"]
    assert served.headers["x-content-type-options"] == "nosniff"
    assert served.headers["cache-control"] == "private, no-cache"


# Sent as they are: no client tidies these up on the way.
OUTSIDE = [
    "../quality/items/run.html", "%2e%2e/quality/items/run.html", "..%2fquality%2fitems%2frun.html",
    "a/../../quality/items/run.html", "/quality/items/run.html", "%5c..%5cquality%5crun.html", "x%00.html", "other.txt",
    "validations//index.html", "./index.html",
]  # fmt: skip


@pytest.mark.end_to_end
@pytest.mark.parametrize("path", OUTSIDE)
def test_no_path_leads_out_of_the_pages(airflow: Airflow, pages: None, path: str) -> None:
    host, port = re.findall(r"//([^:]+):(\d+)", airflow.address)[0]
    lines = (f"GET {PREFIX}/data-docs/{path} HTTP/1.1", f"Host: {host}", f"Cookie: _token={airflow.cookie}")
    request = "\r\n".join([*lines, "Connection: close", "", ""])
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(request.encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b"There is no such page" in answer


@pytest.mark.end_to_end
def test_missing_pages_and_a_missing_bucket_say_so(airflow: Airflow, pages: None) -> None:
    client, bucket = airflow.lake.client(), airflow.lake.bucket
    assert "There is no such page" in airflow.get_logged_in("/data-docs/none.html").text
    client.delete_object(Bucket=bucket, Key=INDEX_KEY)
    none_yet = airflow.get_logged_in("/data-docs/")
    assert none_yet.status_code == 404
    assert "the first validation writes them" in none_yet.text


@pytest.mark.end_to_end
def test_the_navigation_links_to_it(airflow: Airflow) -> None:
    plugins = airflow.get_logged_in("/api/v2/plugins").json()["plugins"]
    (plugin,) = (plugin for plugin in plugins if plugin["name"] == "data_docs")
    (view,) = plugin["external_views"]
    assert (view["name"], view["href"], view["destination"]) == ("Data Docs", "data-docs/index.html", "nav")
    assert airflow.get_logged_in("/api/v2/plugins/importErrors").json()["import_errors"] == []


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("", INDEX_KEY),
        ("index.html", INDEX_KEY),
        (RUN, f"data_docs/{RUN}"),
        ("../quality/items/run.html", None),
        ("a/./b.html", None),
        ("a//b.html", None),
        ("/etc/x.html", None),
        ("a\\b.html", None),
        ("a\n.html", None),
        ("page.js", None),
    ],
)
def test_keys_of_paths(path: str, key: str | None) -> None:
    assert key_of(path) == key


def test_loading_the_plugin_loads_no_web_framework() -> None:
    heavy = "airflow.api_fastapi great_expectations pandas boto3 pyarrow duckdb mlflow pyspark"
    code = (
        "import sys, airflow.plugins_manager; before = set(sys.modules); import plugins.data_docs; "
        f"print([name for name in {heavy!r}.split() if name in set(sys.modules) - before])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=PROJECT)
    assert done.stdout.strip().splitlines()[-1] == "[]"
