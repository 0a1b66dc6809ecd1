"""What the commands' tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from marquee.lake.objects import Lake
from marquee.services.ports import free_ports
from marquee.settings import settings


@pytest.fixture
def connected(fresh_lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Settings that lead to the bucket, and to an Airflow that does not run."""
    for name, value in {
        "MARQUEE_VAR": str(tmp_path / "var"),
        "MARQUEE_CACHE": str(tmp_path / "cache"),
        "MARQUEE_S3__ENDPOINT": fresh_lake.endpoint,
        "MARQUEE_S3__BUCKET": fresh_lake.bucket,
        "MARQUEE_S3__ACCESS_KEY": fresh_lake.access_key,
        "MARQUEE_S3__SECRET_KEY": fresh_lake.secret_key,
        "MARQUEE_PORTS__AIRFLOW": str(free_ports(1)[0]),
        "NO_PROXY": "",
        "no_proxy": "",
    }.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    yield
    settings.cache_clear()
