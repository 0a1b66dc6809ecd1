"""What services and tasks find in their environment."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

from cryptography.fernet import Fernet

from marquee.credentials import credentials
from marquee.lake.objects import Lake
from marquee.services.environment import MARK, environment, loopback, own
from marquee.settings import S3, Mlflow, Ports, Settings


def test_everything_follows_the_ports(tmp_path: Path) -> None:
    made = own(Settings(var=tmp_path, ports=Ports(airflow=18001, mlflow=18002, s3=18003)))
    # without this one every task fails with 'Connection refused'
    assert made["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:18001/execution/"
    assert made["AIRFLOW__API__PORT"] == "18001"
    assert made["MLFLOW_TRACKING_URI"] == "http://127.0.0.1:18002"
    assert made["AWS_ENDPOINT_URL"] == made["MLFLOW_S3_ENDPOINT_URL"] == "http://127.0.0.1:18003"
    assert made["MARQUEE_PORTS__S3"] == "18003"


def test_connections_carry_the_login_and_the_address(tmp_path: Path) -> None:
    given = Settings(
        var=tmp_path, s3=S3(endpoint="https://s3.example.org", region="eu-1"), mlflow=Mlflow(username="me")
    )
    made, secret = own(given), credentials(given)
    aws, mlflow = (json.loads(made[f"AIRFLOW_CONN_{name}"]) for name in ("AWS_DEFAULT", "MLFLOW_DEFAULT"))
    assert (aws["login"], aws["password"]) == (secret.s3_access_key, secret.s3_secret_key)
    assert aws["extra"] == {"endpoint_url": "https://s3.example.org", "region_name": "eu-1"}
    assert (mlflow["host"], mlflow["login"], mlflow["password"]) == (
        "http://127.0.0.1:5000", "me", secret.mlflow_password,
    )  # fmt: skip
    assert json.loads(made["AIRFLOW_CONN_SPARK_DEFAULT"])["host"] == "local[*]"
    assert Lake.from_environment(made).endpoint == "https://s3.example.org"


def test_tasks_read_the_settings_that_up_saw(tmp_path: Path) -> None:
    given = Settings(var=tmp_path, ports=Ports(airflow=18001), s3=S3(bucket="other", secret_key="SECRET"))
    made = own(given)
    exported = {name: value for name, value in made.items() if name.startswith("MARQUEE_")}
    assert exported["MARQUEE_S3__BUCKET"] == "other" and exported["MARQUEE_VAR"] == str(tmp_path)
    assert not set(exported.values()) & set(asdict(credentials(given)).values())


def test_nothing_of_a_persons_shell_about_the_same_programs(tmp_path: Path) -> None:
    shell = {
        "HOME": "/home/me", "PATH": "/usr/bin", "LANG": "C.UTF-8", "AIRFLOW__CORE__LOAD_EXAMPLES": "True",
        "AWS_PROFILE": "work", "MLFLOW_TRACKING_TOKEN": "t", "SPARK_HOME": "/opt/spark", "PYTHONHOME": "/opt/python",
        "PYTHONDONTWRITEBYTECODE": "1", "JAVA_TOOL_OPTIONS": "-Xmx1m", "NO_PROXY": "example.org",
        "HTTP_PROXY": "http://proxy:3128",
    }  # fmt: skip
    made = environment(Settings(var=tmp_path), shell)
    assert (made["HOME"], made["LANG"], made["HTTP_PROXY"]) == ("/home/me", "C.UTF-8", "http://proxy:3128")
    assert not {"AWS_PROFILE", "MLFLOW_TRACKING_TOKEN", "SPARK_HOME", "PYTHONHOME"} & made.keys()
    assert not {"PYTHONDONTWRITEBYTECODE", "JAVA_TOOL_OPTIONS"} & made.keys()
    assert made["AIRFLOW__CORE__LOAD_EXAMPLES"] == "False"
    assert made["NO_PROXY"] == "example.org,127.0.0.1,localhost"
    assert made["PATH"].startswith(str(Path(sys.executable).parent)) and made["PATH"].endswith("/usr/bin")
    assert made[MARK] == str(tmp_path)


def test_airflow_gets_a_key_and_a_name_that_it_can_use(tmp_path: Path) -> None:
    made = own(Settings(var=tmp_path))
    Fernet(made["AIRFLOW__CORE__FERNET_KEY"])
    assert made["AIRFLOW__CORE__HOSTNAME_CALLABLE"] == f"{loopback.__module__}.loopback"
    assert loopback() == "localhost"
