"""From what MLflow's client raises to one sentence of ours."""

from __future__ import annotations

import errno
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

from marquee.errors import MarqueeError, RegistryError

log = logging.getLogger("marquee")

SECONDS_TO_ANSWER = (5, 30)
#: MLflow's client retries seven times (four minutes) by itself and draws bars into logs; a task has retries of its own.
CLIENT_DEFAULTS = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}
MISSING = ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND")
UNKNOWN_USER = ("CUSTOMER_UNAUTHORIZED", "UNAUTHENTICATED")
PASSING = (
    "INTERNAL_ERROR",
    "TEMPORARILY_UNAVAILABLE",
    "REQUEST_LIMIT_EXCEEDED",
    "DEADLINE_EXCEEDED",
    "RESOURCE_EXHAUSTED",
    "ABORTED",
)


@contextmanager
def registry_errors(what: str) -> Iterator[None]:
    """Turn errors of MLflow's client into a RegistryError: "can't <what>", why, and what to do.

    The server is asked for its health first, once: MLflow's client retries a refused connection for minutes.
    """
    import requests
    from mlflow.exceptions import MlflowException

    for name, value in CLIENT_DEFAULTS.items():
        os.environ.setdefault(name, value)
    try:
        _require_answer(what)
        yield
    except MarqueeError:
        raise
    except MlflowException as error:
        log.debug("MLflow refused to %s", what, exc_info=True)
        raise _refusal(what, error.error_code, str(error)) from None
    except requests.RequestException as error:
        log.debug("MLflow refused to %s", what, exc_info=True)
        status = error.response.status_code if error.response is not None else None
        code = {401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND"}.get(status or 0, "INTERNAL_ERROR")
        raise _refusal(what, code, str(error)) from None
    except OSError as error:
        is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        advice = "free some space on this machine's disk" if is_full else "mend it"
        raise RegistryError(f"Can't {what} ({error}): {advice}, and run it again.") from error


def is_missing(error: Exception) -> bool:
    """Whether the server said that what was asked for does not exist."""
    return getattr(error, "error_code", None) in MISSING


def server() -> str:
    """The server's address for people, without a password that it may hold."""
    import mlflow

    parts = urlsplit(str(mlflow.get_tracking_uri()))
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _require_answer(what: str) -> None:
    import mlflow
    import requests

    uri = mlflow.get_tracking_uri()
    if not uri.startswith(("http://", "https://")):
        return
    try:
        requests.get(f"{uri.rstrip('/')}/health", timeout=SECONDS_TO_ANSWER)
    except requests.RequestException as error:
        reason = type(error).__name__
        raise RegistryError(
            f"Can't {what}: the MLflow server at {server()} does not answer ({reason}): start it (marquee up), "
            "or mend setting mlflow.uri.",
            is_transient=True,
        ) from None


def _refusal(what: str, code: str, text: str) -> RegistryError:
    if code in UNKNOWN_USER:
        user = os.environ.get("MLFLOW_TRACKING_USERNAME", "")
        return RegistryError(
            f"Can't {what}: the MLflow server at {server()} refuses "
            + (f"user {user!r} with this password" if user else "a client that names no user")
            + ": mend settings mlflow.username and mlflow.password."
        )
    said = _said(text)
    if code == "PERMISSION_DENIED":
        return RegistryError(
            f"Can't {what}: the MLflow server at {server()} forbids it ({said}): give the user of setting "
            "mlflow.username the right, or add this host to the server's allowed hosts."
        )
    if code in PASSING:
        return RegistryError(
            f"Can't {what}: the MLflow server at {server()} failed ({said}): read its log, and run it again.",
            is_transient=True,
        )
    if code in MISSING:
        return RegistryError(
            f"Can't {what}: the MLflow server at {server()} has no such thing ({said}): look for its name there."
        )
    return RegistryError(f"Can't {what}: the MLflow server at {server()} says {said!r}: mend what it names.")


def _said(text: str) -> str:
    """What the server said, in one short line without secrets."""
    line = re.sub(r"://[^/@\s]*@", "://", " ".join(text.split()))
    for secret in ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN"):
        if os.environ.get(secret):
            line = line.replace(os.environ[secret], "***")
    return line if len(line) <= 300 else f"{line[:297]}..."
