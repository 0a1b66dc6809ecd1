"""The secrets of this installation: made once, kept in one file that only its owner may read.

A value from the settings (`s3.access_key`, `mlflow.password`, ...) wins over the one in the file, so an external
server is reached with its own password while everything else stays as it was made.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import tempfile
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from marquee.errors import SettingsError
from marquee.settings import Settings

FILE = "credentials.json"


@dataclass(frozen=True)
class Credentials:
    """All secrets, none of which shows in a repr."""

    s3_access_key: str = field(repr=False)
    s3_secret_key: str = field(repr=False)
    mlflow_password: str = field(repr=False)
    mlflow_flask_key: str = field(repr=False)
    airflow_password: str = field(repr=False)
    airflow_fernet_key: str = field(repr=False)
    airflow_jwt_secret: str = field(repr=False)
    airflow_api_secret: str = field(repr=False)


def credentials(settings: Settings) -> Credentials:
    """Secrets of this installation; the first call makes them.

    Raises:
        SettingsError: the file can't be read, written or understood, or others may read it.
    """
    file = settings.var / FILE
    try:
        if not file.exists():
            _make(file)
        made = _read(file)
    except OSError as error:
        raise SettingsError(
            f"The credentials file {file} can't be used ({error.strerror}): make its folder writable for you, "
            "or set MARQUEE_VAR to another one."
        ) from None
    given = {
        "s3_access_key": settings.s3.access_key.get_secret_value(),
        "s3_secret_key": settings.s3.secret_key.get_secret_value(),
        "mlflow_password": settings.mlflow.password.get_secret_value(),
        "airflow_password": settings.airflow.password.get_secret_value(),
    }
    return replace(made, **{name: value for name, value in given.items() if value})


def _make(file: Path) -> None:
    """Write new secrets; where another process was faster, its file stays."""
    made = {
        "s3_access_key": secrets.token_hex(10).upper(),
        "s3_secret_key": secrets.token_urlsafe(30),
        "mlflow_password": secrets.token_urlsafe(15),
        "mlflow_flask_key": secrets.token_urlsafe(32),
        "airflow_password": secrets.token_urlsafe(15),
        # Fernet's own format: 32 bytes in URL-safe base64
        "airflow_fernet_key": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "airflow_jwt_secret": secrets.token_urlsafe(64),
        "airflow_api_secret": secrets.token_urlsafe(32),
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    # mkstemp creates with mode 0600; the link is the atomic "only if nobody else has"
    descriptor, temporary = tempfile.mkstemp(prefix=f".{FILE}.", dir=file.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            json.dump(made, stream, indent=2)
            stream.flush()
            os.fsync(stream.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(temporary, file)
    finally:
        Path(temporary).unlink()


def _read(file: Path) -> Credentials:
    if file.stat().st_mode & 0o077:
        raise SettingsError(f"Others than you may read {file}: run `chmod 600 {file}`, and `marquee up` again.")
    names = [each.name for each in fields(Credentials)]
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        return Credentials(**{name: str(values[name]) for name in names})
    except (ValueError, KeyError, TypeError):
        raise SettingsError(
            f"The credentials file {file} is not whole (it needs {', '.join(names)}): put it back from a copy, "
            f"or, where the data may go, remove the whole folder {file.parent}."
        ) from None
