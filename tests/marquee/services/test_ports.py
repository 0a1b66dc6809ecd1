"""A port that is taken: who holds it, and which setting moves it."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from marquee.errors import SettingsError
from marquee.services.ports import GRPC, check_free, free_ports, wanted
from marquee.settings import S3, Airflow, Mlflow, Ports, Settings


def on_free_ports(var: Path) -> Settings:
    names = ("airflow", "mlflow", "s3", "s3_master", "s3_volume", "s3_filer", "s3_admin")
    return Settings(var=var, ports=Ports(**dict(zip(names, free_ports(7), strict=True))))


def test_free_ports_pass(tmp_path: Path) -> None:
    check_free(on_free_ports(tmp_path))


@pytest.mark.parametrize(("name", "above"), [("airflow", 0), ("mlflow", 0), ("s3_filer", 0), ("s3_master", GRPC)])
def test_a_taken_port_names_holder_and_setting(tmp_path: Path, name: str, above: int) -> None:
    given = on_free_ports(tmp_path)
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", getattr(given.ports, name) + above))
        holder.listen()
        with pytest.raises(SettingsError) as caught:
            check_free(given)
    assert f"Port {getattr(given.ports, name) + above}" in str(caught.value)
    assert f"process {os.getpid()} (" in str(caught.value)
    assert f"MARQUEE_PORTS__{name.upper()}=" in str(caught.value)


def test_two_settings_for_one_port(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"wanted twice, by ports\.s3 and ports\.mlflow"):
        wanted(Settings(var=tmp_path, ports=Ports(mlflow=8333)))
    with pytest.raises(SettingsError, match="taken 10000 higher too"):
        wanted(Settings(var=tmp_path, ports=Ports(airflow=8333 + GRPC)))


def test_external_services_want_none(tmp_path: Path) -> None:
    others = {
        "s3": S3(endpoint="http://s3"),
        "mlflow": Mlflow(uri="http://mlflow"),
        "airflow": Airflow(url="http://af"),
    }
    assert wanted(Settings(var=tmp_path, **others)) == {}
