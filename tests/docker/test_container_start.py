"""The scripts of the containers, run as they are there."""

from __future__ import annotations

import configparser
import http.server
import importlib.util
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from pydantic import SecretStr

from marquee.services.environment import own
from marquee.settings import S3, Mlflow, Settings, Spark

DOCKER = Path(__file__).resolve().parents[2] / "docker"
SECRETS = {
    "airflow_db_password": "p%a/ss@word",
    "airflow_fernet_key": "fernet",
    "airflow_password": "airflow-pass",
    "mlflow_db_password": "100%",
    "mlflow_password": "mlflow-pass",
    "s3_access_key": "KEY",
    "s3_secret_key": "s3-secret",
}
GIVEN = {
    "PGHOST": "postgres",
    "MARQUEE_S3__ENDPOINT": "http://seaweedfs:8333",
    "MARQUEE_S3__REGION": "us-east-1",
    "MARQUEE_SPARK__MASTER": "spark://spark-master:7077",
    "MARQUEE_MLFLOW__URI": "http://mlflow:5000",
    "MARQUEE_MLFLOW__USERNAME": "admin",
    "MARQUEE_AIRFLOW__USERNAME": "admin",
}


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"docker_{name}", DOCKER / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_connections_are_those_of_the_embedded_services(tmp_path: Path) -> None:
    settings = Settings(
        var=tmp_path,
        s3=S3(
            endpoint=GIVEN["MARQUEE_S3__ENDPOINT"],
            access_key=SecretStr(SECRETS["s3_access_key"]),
            secret_key=SecretStr(SECRETS["s3_secret_key"]),
        ),
        mlflow=Mlflow(uri=GIVEN["MARQUEE_MLFLOW__URI"], password=SecretStr(SECRETS["mlflow_password"])),
        spark=Spark(master=GIVEN["MARQUEE_SPARK__MASTER"]),
    )
    embedded = {name: json.loads(value) for name, value in own(settings).items() if name.startswith("AIRFLOW_CONN_")}
    made = script("entrypoint").connections(SECRETS, GIVEN)
    assert {name: json.loads(value) for name, value in made.items()} == embedded


def test_secrets_become_variables_and_private_files(tmp_path: Path) -> None:
    folder, private = tmp_path / "secrets", tmp_path / "private"
    folder.mkdir()
    private.mkdir()
    for name, value in SECRETS.items():
        (folder / name).write_text(f"{value}\n", encoding="utf-8")
    program = (
        f"import sys; sys.path.insert(0, {str(DOCKER)!r}); import entrypoint; from pathlib import Path; "
        f"entrypoint.main([sys.executable, '-c', 'import json, os; print(json.dumps(dict(os.environ)))'], "
        f"Path({str(folder)!r}), Path({str(private)!r}))"
    )
    done = subprocess.run([sys.executable, "-c", program], env=GIVEN, capture_output=True, text=True, check=True)
    seen = json.loads(done.stdout)
    assert seen["AWS_SECRET_ACCESS_KEY"] == seen["MARQUEE_S3__SECRET_KEY"] == "s3-secret"
    assert (
        seen["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
        == "postgresql+psycopg2://airflow:p%25a%2Fss%40word@postgres:5432/airflow"
    )
    assert json.loads((private / "airflow-passwords.json").read_text()) == {"admin": "airflow-pass"}
    parser = configparser.ConfigParser()
    parser.read(private / "mlflow-auth.ini")
    assert parser["mlflow"]["database_uri"] == "postgresql+psycopg2://mlflow:100%25@postgres:5432/mlflow_auth"
    assert {file.stat().st_mode & 0o777 for file in private.iterdir()} == {0o600}


def test_a_container_gets_nothing_of_secrets_it_was_not_given() -> None:
    entrypoint = script("entrypoint")
    worker = {name: SECRETS[name] for name in ("s3_access_key", "s3_secret_key")}
    made = entrypoint.variables(worker, {})
    assert set(made) == {
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "MARQUEE_S3__ACCESS_KEY",
        "MARQUEE_S3__SECRET_KEY",
    }
    assert entrypoint.variables({}, GIVEN) == {}
    assert entrypoint.files({}, GIVEN) == {}


def test_an_unknown_command_is_one_sentence() -> None:
    done = subprocess.run(
        [sys.executable, str(DOCKER / "entrypoint.py"), "no-such-command"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.strip() == (
        "The command no-such-command can't be started (No such file or directory): name one that the image has."
    )


def test_secrets_are_made_once_and_are_private(tmp_path: Path) -> None:
    maker = script("make_secrets")
    (tmp_path / ".env.example").write_text((DOCKER / ".env.example").read_text(encoding="utf-8"), encoding="utf-8")
    maker.main(tmp_path)
    made = (tmp_path / ".env").read_text(encoding="utf-8")
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600
    assert not maker.EMPTY.search(made)
    maker.main(tmp_path)
    assert (tmp_path / ".env").read_text(encoding="utf-8") == made
    # a secret that a later version needs is added, and what a person changed stays
    changed = "\n".join(line for line in made.splitlines() if not line.startswith("AIRFLOW_JWT_SECRET"))
    (tmp_path / ".env").write_text(changed.replace("SPARK_WORKERS=2", "SPARK_WORKERS=7"), encoding="utf-8")
    maker.main(tmp_path)
    again = (tmp_path / ".env").read_text(encoding="utf-8")
    assert "SPARK_WORKERS=7\n" in again
    assert again.splitlines()[-1].startswith("AIRFLOW_JWT_SECRET=")
    assert len(again.splitlines()[-1]) > 40


def test_a_fernet_key_is_one() -> None:
    from cryptography.fernet import Fernet

    Fernet(script("make_secrets").secret("AIRFLOW_FERNET_KEY"))


class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b'{"triggerer": {"status": "healthy"}, "scheduler": {"status": "unhealthy"}}'
        self.send_response(200 if self.path == "/health" else 503)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing to standard error."""


@pytest.fixture
def address() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Health)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("path", "component", "is_healthy"),
    [
        ("/health", "", True),
        ("/health", "triggerer", True),
        ("/health", "scheduler", False),
        ("/health", "dag_processor", False),
        ("/sick", "", False),
    ],
)
def test_health(address: str, path: str, component: str, is_healthy: bool) -> None:
    assert script("healthcheck").is_healthy(address + path, component) is is_healthy


def test_nobody_listens() -> None:
    assert not script("healthcheck").is_healthy("http://127.0.0.1:9/")
