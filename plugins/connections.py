"""From Airflow's connections to what the rooms below understand.

No secret leaves by any other way than a process's environment.
"""

from __future__ import annotations

import os
from urllib.parse import urlsplit, urlunsplit

from airflow.sdk import BaseHook

from marquee.lake.objects import Lake
from marquee.settings import settings

S3 = "aws_default"
MLFLOW = "mlflow_default"
SPARK = "spark_default"


def lake() -> Lake:
    """The lake behind the connection `aws_default`."""
    connection = BaseHook.get_connection(S3)
    extra = connection.extra_dejson
    return Lake(
        endpoint=str(extra.get("endpoint_url") or settings().s3_endpoint),
        region=str(extra.get("region_name") or settings().s3.region),
        bucket=settings().s3.bucket,
        access_key=str(connection.login or ""),
        secret_key=str(connection.password or ""),
    )


def mlflow_environment() -> dict[str, str]:
    """The variables by which MLflow's client finds the server of the connection `mlflow_default`."""
    connection = BaseHook.get_connection(MLFLOW)
    scheme = connection.schema or "http"
    host = connection.host or ""
    parts = urlsplit(host if "://" in host else f"{scheme}://{host}")
    netloc = parts.netloc if parts.port or not connection.port else f"{parts.netloc}:{connection.port}"
    found = {"MLFLOW_TRACKING_URI": urlunsplit((parts.scheme, netloc, parts.path, "", ""))}
    if connection.login:
        found |= {"MLFLOW_TRACKING_USERNAME": connection.login, "MLFLOW_TRACKING_PASSWORD": connection.password or ""}
    return found


def use_mlflow() -> None:
    """Let MLflow's client in this task's own process find the server."""
    os.environ.update(mlflow_environment())
