"""Starts a container's command with the secrets that this container was given, as the variables its program reads.

A secret is a file in /run/secrets. It reaches the command by the environment, or by a file of mode 0600 where the
program reads nothing else, and never by a command line. A container that was not given a secret does not miss it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

SECRETS = Path("/run/secrets")
PRIVATE = Path("/run/marquee")

# Secret -> the variables that hold it as it is.
VARIABLES = {
    "airflow_api_secret": ("AIRFLOW__API__SECRET_KEY",),
    "airflow_fernet_key": ("AIRFLOW__CORE__FERNET_KEY",),
    "airflow_jwt_secret": ("AIRFLOW__API_AUTH__JWT_SECRET",),
    "airflow_password": ("MARQUEE_AIRFLOW__PASSWORD",),
    "mlflow_flask_key": ("MLFLOW_FLASK_SERVER_SECRET_KEY",),
    "mlflow_password": ("MARQUEE_MLFLOW__PASSWORD", "MLFLOW_AUTH_ADMIN_PASSWORD", "MLFLOW_TRACKING_PASSWORD"),
    "s3_access_key": ("AWS_ACCESS_KEY_ID", "MARQUEE_S3__ACCESS_KEY"),
    "serving_postgres_password": ("MARQUEE_SERVING__POSTGRES_PASSWORD",),
    "s3_secret_key": ("AWS_SECRET_ACCESS_KEY", "MARQUEE_S3__SECRET_KEY"),
}


def read(folder: Path) -> dict[str, str]:
    """The secrets in a folder, by name; a line's end at the end of a file is no part of it."""
    files = sorted(file for file in folder.iterdir() if file.is_file()) if folder.is_dir() else []
    return {file.name: file.read_text(encoding="utf-8").rstrip("\r\n") for file in files}


def variables(secrets: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """The variables that the secrets become; `given` (the container's own) says where the servers are."""
    made = {name: secrets[secret] for secret, names in VARIABLES.items() if secret in secrets for name in names}
    if "airflow_db_password" in secrets:
        made["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = database_url("airflow", secrets["airflow_db_password"], given)
    if "mlflow_db_password" in secrets:
        made["MLFLOW_BACKEND_STORE_URI"] = database_url("mlflow", secrets["mlflow_db_password"], given)
    if {"s3_access_key", "s3_secret_key", "mlflow_password"} <= secrets.keys() and "MARQUEE_SPARK__MASTER" in given:
        made |= connections(secrets, given)
    return made


def database_url(user: str, password: str, given: Mapping[str, str], database: str = "") -> str:
    """URL of a user's database on the server at PGHOST and PGPORT; it is named as the user unless told otherwise."""
    where = f"{given['PGHOST']}:{given.get('PGPORT', '5432')}"
    return f"postgresql+psycopg2://{user}:{quote(password, safe='')}@{where}/{database or user}"


def connections(secrets: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """Airflow's connections, the same that marquee.services.environment makes for the embedded services."""
    made = {
        "AWS_DEFAULT": {
            "conn_type": "aws",
            "login": secrets["s3_access_key"],
            "password": secrets["s3_secret_key"],
            "extra": {"endpoint_url": given["MARQUEE_S3__ENDPOINT"], "region_name": given["MARQUEE_S3__REGION"]},
        },
        "SPARK_DEFAULT": {
            "conn_type": "spark",
            "host": given["MARQUEE_SPARK__MASTER"],
            "extra": {"deploy-mode": "client"},
        },
        "MLFLOW_DEFAULT": {
            "conn_type": "http",
            "host": given["MARQUEE_MLFLOW__URI"],
            "login": given["MARQUEE_MLFLOW__USERNAME"],
            "password": secrets["mlflow_password"],
        },
    }
    return {f"AIRFLOW_CONN_{name}": json.dumps(value) for name, value in made.items()}


def files(secrets: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """Name -> text of the files for the programs that read their logins from nothing else."""
    made = {}
    if {"s3_access_key", "s3_secret_key"} <= secrets.keys():
        login = {"accessKey": secrets["s3_access_key"], "secretKey": secrets["s3_secret_key"]}
        actions = ["Admin", "Read", "Write", "List", "Tagging"]
        made["s3.json"] = json.dumps({"identities": [{"name": "marquee", "credentials": [login], "actions": actions}]})
    if "airflow_password" in secrets and "MARQUEE_AIRFLOW__USERNAME" in given:
        made["airflow-passwords.json"] = json.dumps({given["MARQUEE_AIRFLOW__USERNAME"]: secrets["airflow_password"]})
    if "mlflow_db_password" in secrets:
        url = database_url("mlflow", secrets["mlflow_db_password"], given, "mlflow_auth")
        made["mlflow-auth.ini"] = (
            "[mlflow]\n"
            "default_permission = READ\n"
            # a percent sign is this format's own mark
            f"database_uri = {url.replace('%', '%%')}\n"
            "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
            "auth_cache_ttl_seconds = 60\n"
        )
    return made


def main(command: list[str], secrets_folder: Path = SECRETS, private_folder: Path = PRIVATE) -> None:
    """Write the files, and become the command."""
    secrets = read(secrets_folder)
    os.umask(0o077)
    for name, text in files(secrets, os.environ).items():
        (private_folder / name).write_text(text, encoding="utf-8")
    os.umask(0o022)
    os.environ.update(variables(secrets, os.environ))
    try:
        os.execvp(command[0], command)  # noqa: S606 - a list, and no shell is wanted
    except OSError as error:
        sys.exit(f"The command {command[0]} can't be started ({error.strerror}): name one that the image has.")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("There is no command to start: give one, as `marquee --help`.")
    main(sys.argv[1:])
