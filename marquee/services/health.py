"""Whether each service answers, asked as a client asks: with its login, over HTTP."""

from __future__ import annotations

from datetime import datetime

import httpx

from marquee.credentials import Credentials
from marquee.lake.objects import Lake
from marquee.settings import Settings, is_loopback

SECONDS = 10.0


class LoginError(Exception):
    """A service answers, and refuses our login: waiting does not help."""


def s3(settings: Settings, secret: Credentials) -> str:
    """Empty if the S3 server knows our keys and both buckets are there, else what is the matter.

    Raises:
        LoginError: the server does not take our keys.
    """
    try:
        names = {bucket["Name"] for bucket in lake(settings, secret).client().list_buckets()["Buckets"]}
    except Exception as error:  # botocore's own tree, which is not imported here: it costs a second
        code = getattr(error, "response", {}).get("Error", {}).get("Code", "")
        if code in {"InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied"}:
            raise LoginError(
                f"The S3 server at {settings.s3_endpoint} refuses the login ({code}): mend s3.access_key and "
                "s3.secret_key."
            ) from None
        return code or type(error).__name__
    missing = {settings.s3.bucket, settings.s3.artifacts_bucket} - names
    return f"bucket {', '.join(sorted(missing))} is missing" if missing else ""


def create_buckets(settings: Settings, secret: Credentials) -> None:
    """Both buckets, where they are missing.

    Raises:
        LakeError: the server refuses.
    """
    store = lake(settings, secret)
    for name in (settings.s3.bucket, settings.s3.artifacts_bucket):
        store.create_bucket(name)


def mlflow(settings: Settings, secret: Credentials) -> str:
    """Empty if the MLflow server takes our login, else what is the matter.

    Raises:
        LoginError: the server does not take our login.
    """
    try:
        answer = httpx.get(
            f"{settings.mlflow_uri}/api/2.0/mlflow/experiments/search",
            params={"max_results": 1},
            auth=(settings.mlflow.username, secret.mlflow_password),
            timeout=SECONDS,
            trust_env=not is_loopback(settings.mlflow_uri),
        )
    except httpx.HTTPError as error:
        return type(error).__name__
    if answer.status_code in {401, 403}:
        raise LoginError(
            f"MLflow at {settings.mlflow_uri} refuses the login of {settings.mlflow.username}: mend mlflow.username "
            "and mlflow.password (the embedded server keeps the login that it was first started with)."
        )
    return "" if answer.is_success else f"HTTP {answer.status_code}"


def airflow(settings: Settings, since: float = 0.0) -> str:
    """Empty if Airflow's API, scheduler, DAG processor and triggerer are healthy, else what is the matter.

    Args:
        since: seconds since 1970; a heartbeat from before it is one of an earlier life and does not count.
    """
    try:
        answer = httpx.get(
            f"{settings.airflow_url}/api/v2/monitor/health",
            timeout=SECONDS,
            trust_env=not is_loopback(settings.airflow_url),
        )
        parts = answer.raise_for_status().json()
    except (httpx.HTTPError, ValueError) as error:
        return type(error).__name__
    sick = [
        name
        for name in ("metadatabase", "scheduler", "dag_processor", "triggerer")
        if parts[name]["status"] != "healthy" or not _is_fresh(parts[name], name, since)
    ]
    return f"{', '.join(sick)} not healthy" if sick else ""


def lake(settings: Settings, secret: Credentials) -> Lake:
    """The lake as this process reaches it."""
    return Lake(
        endpoint=settings.s3_endpoint,
        region=settings.s3.region,
        bucket=settings.s3.bucket,
        access_key=secret.s3_access_key,
        secret_key=secret.s3_secret_key,
    )


def _is_fresh(part: dict[str, str], name: str, since: float) -> bool:
    beat = part.get(f"latest_{name}_heartbeat")
    return name == "metadatabase" or (beat is not None and datetime.fromisoformat(beat).timestamp() >= since)
