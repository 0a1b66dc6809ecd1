"""The environment of the embedded services and of every task: the one place where settings become variables.

Secrets travel here and nowhere else (an environment can be read by its owner only; a command line by everybody).
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from marquee.credentials import Credentials, credentials
from marquee.java import java_home
from marquee.settings import PROJECT, Settings

# Marks every process of one installation, so that leftovers are found. It is not MARQUEE_VAR: people export that one
# in their shells, and a shell is nothing to end.
MARK = "MARQUEE_SERVICES_OF"

# What a person's shell may hold about the same programs must not reach ours.
FOREIGN = (
    "AIRFLOW",
    "_AIRFLOW",
    "AWS_",
    "MLFLOW_",
    "_MLFLOW",
    "SPARK_",
    "PYSPARK_",
    "PYTHON",
    "_JAVA",
    "JAVA_",
    "WEED_",
)
FOREIGN_NAMES = {"JDK_JAVA_OPTIONS", "HADOOP_HOME", "HADOOP_CONF_DIR", "GUNICORN_CMD_ARGS", "UVICORN_PORT", "S3_BUCKET"}


def loopback() -> str:
    """Name of this machine, for Airflow (`core.hostname_callable`).

    A laptop's real name changes with its network, and Airflow fails a running task whose machine's name has changed.
    """
    return "localhost"


def environment(settings: Settings, base: Mapping[str, str] | None = None) -> dict[str, str]:
    """The whole environment for services and tasks: `base` (None: this process's) cleaned, and `own` over it."""
    base = os.environ if base is None else base
    kept = {name: value for name, value in base.items() if not name.startswith(FOREIGN) and name not in FOREIGN_NAMES}
    ours = own(settings)
    path = os.pathsep.join([str(Path(sys.executable).parent), base.get("PATH", os.defpath)])
    return kept | ours | {"PATH": path} | without_proxy(base)


def without_proxy(base: Mapping[str, str]) -> dict[str, str]:
    """Variables by which no proxy of a person's shell gets between services on one machine."""
    spared = [name for name in base.get("NO_PROXY", base.get("no_proxy", "")).split(",") if name]
    names = ",".join(dict.fromkeys([*spared, "127.0.0.1", "localhost"]))
    return {"NO_PROXY": names, "no_proxy": names}


def own(settings: Settings) -> dict[str, str]:
    """The variables that Marquee sets, and nothing of the shell it was called from."""
    secret = credentials(settings)
    return {
        MARK: str(settings.var.resolve()),
        **_settings(settings),
        **_python(),
        **_seaweedfs(),
        **_lake(settings, secret),
        **_mlflow(settings, secret),
        **_airflow(settings, secret),
        **_connections(settings, secret),
        **_spark(settings),
    }


def _settings(settings: Settings) -> dict[str, str]:
    """Every setting that is no secret, so that tasks see what `up` saw, whatever `marquee.toml` says since."""
    secret = {"s3": {"access_key", "secret_key"}, "mlflow": {"password"}, "airflow": {"password"}}
    secret |= {"serving": {"postgres_password"}}
    values = settings.model_dump(mode="json", exclude=secret)
    groups = {name: group for name, group in values.items() if isinstance(group, dict)}
    return {
        "MARQUEE_VAR": str(settings.var.resolve()),
        "MARQUEE_CACHE": str(settings.cache.resolve()),
        "MARQUEE_DAGS": str(settings.dags.resolve()),
        **{
            f"MARQUEE_{group}__{name}".upper(): str(value) for group, of in groups.items() for name, value in of.items()
        },
    }


def _python() -> dict[str, str]:
    return {
        "PYTHONPATH": str(PROJECT),
        "PYTHONUNBUFFERED": "1",
        # else a process that renames itself overwrites its environment, and with it the mark
        "SPT_NOENV": "1",
        "DO_NOT_TRACK": "true",
    }


def _seaweedfs() -> dict[str, str]:
    # with half of it, collecting garbage takes more processor time than all else that it does for a large object
    return {"GOMEMLIMIT": "512MiB"}


def _lake(settings: Settings, secret: Credentials) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": settings.s3_endpoint,
        "AWS_REGION": settings.s3.region,
        "AWS_DEFAULT_REGION": settings.s3.region,
        "AWS_ACCESS_KEY_ID": secret.s3_access_key,
        "AWS_SECRET_ACCESS_KEY": secret.s3_secret_key,
        # no look at a person's profiles, nor for a cloud's metadata server
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "MARQUEE_BUCKET": settings.s3.bucket,
    }


def _mlflow(settings: Settings, secret: Credentials) -> dict[str, str]:
    folder = settings.var.resolve() / "mlflow"
    return {
        "MLFLOW_BACKEND_STORE_URI": f"sqlite:///{folder / 'mlflow.db'}",
        "MLFLOW_ARTIFACTS_DESTINATION": f"s3://{settings.s3.artifacts_bucket}",
        "MLFLOW_S3_ENDPOINT_URL": settings.s3_endpoint,
        "MLFLOW_AUTH_CONFIG_PATH": str(folder / "auth.ini"),
        "MLFLOW_AUTH_ADMIN_USERNAME": settings.mlflow.username,
        "MLFLOW_AUTH_ADMIN_PASSWORD": secret.mlflow_password,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": secret.mlflow_flask_key,
        "MLFLOW_SERVER_ALLOWED_HOSTS": f"127.0.0.1:{settings.ports.mlflow},localhost:{settings.ports.mlflow}",
        # its job runner is for evaluations of language models: four more processes
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_TRACKING_URI": settings.mlflow_uri,
        "MLFLOW_TRACKING_USERNAME": settings.mlflow.username,
        "MLFLOW_TRACKING_PASSWORD": secret.mlflow_password,
        "GIT_PYTHON_REFRESH": "quiet",
    }


def _airflow(settings: Settings, secret: Credentials) -> dict[str, str]:
    home = settings.var.resolve() / "airflow"
    return {
        "AIRFLOW_HOME": str(home),
        **{
            f"AIRFLOW__{section}__{name}".upper(): str(value)
            for section, options in _airflow_options(settings, secret, home).items()
            for name, value in options.items()
        },
    }


def _airflow_options(settings: Settings, secret: Credentials, home: Path) -> dict[str, dict[str, Any]]:
    url = f"http://127.0.0.1:{settings.ports.airflow}"
    return {
        "core": {
            "dags_folder": settings.dags.resolve(),
            "plugins_folder": PROJECT / "plugins",
            "executor": "LocalExecutor",
            "parallelism": settings.airflow.parallelism,
            "load_examples": False,
            "dags_are_paused_at_creation": False,
            "fernet_key": secret.airflow_fernet_key,
            "simple_auth_manager_users": f"{settings.airflow.username}:admin",
            "simple_auth_manager_passwords_file": home / "passwords.json",
            # must follow the port, else every task fails with 'Connection refused'
            "execution_api_server_url": f"{url}/execution/",
            "hostname_callable": f"{__name__}.{loopback.__name__}",
            "min_serialized_dag_update_interval": 5,
        },
        "database": {
            # seconds that a writer waits for another one; the file itself is in WAL mode, where readers never wait
            "sql_alchemy_conn": f"sqlite:///{home / 'airflow.db'}?timeout=60",
        },
        "api": {
            "host": "127.0.0.1",
            "port": settings.ports.airflow,
            "base_url": url,
            "workers": 1,
            "secret_key": secret.airflow_api_secret,
        },
        "api_auth": {"jwt_secret": secret.airflow_jwt_secret},
        "logging": {
            "base_log_folder": settings.var.resolve() / "logs" / "airflow",
            "dag_processor_child_process_log_directory": settings.var.resolve() / "logs" / "airflow" / "dag_processor",
            "colored_console_log": False,
        },
        "dag_processor": {
            "refresh_interval": 10,
            "min_file_process_interval": 15,
            "parsing_processes": 1,
        },
        "workers": {
            # A worker that misses the exit of its task's process sleeps for this long (5 s by default) before it looks
            # again; until then its place is taken, and a failed task counts as running.
            "min_heartbeat_interval": 1,
        },
        "scheduler": {
            # a task that was killed with the machine is seen, and tried again, after this
            "task_instance_heartbeat_timeout": 120,
            "orphaned_tasks_check_interval": 60,
        },
    }


def _connections(settings: Settings, secret: Credentials) -> dict[str, str]:
    connections = {
        "AWS_DEFAULT": {
            "conn_type": "aws",
            "login": secret.s3_access_key,
            "password": secret.s3_secret_key,
            "extra": {"endpoint_url": settings.s3_endpoint, "region_name": settings.s3.region},
        },
        "SPARK_DEFAULT": {
            "conn_type": "spark",
            "host": settings.spark.master,
            "extra": {"deploy-mode": "client"},
        },
        "MLFLOW_DEFAULT": {
            "conn_type": "http",
            "host": settings.mlflow_uri,
            "login": settings.mlflow.username,
            "password": secret.mlflow_password,
        },
    }
    return {f"AIRFLOW_CONN_{name}": json.dumps(value) for name, value in connections.items()}


def _spark(settings: Settings) -> dict[str, str]:
    return {
        "JAVA_HOME": str(java_home(settings.var)),
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
