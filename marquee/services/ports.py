"""Every port of the embedded services is free, or the person learns who holds it and which setting moves it."""

from __future__ import annotations

import os
import socket
from itertools import islice

from marquee.errors import SettingsError
from marquee.services.processes import command_of, holder
from marquee.settings import Settings

# SeaweedFS opens each of its ports also this much higher, for gRPC
GRPC = 10000
SEAWEEDFS = ("s3", "s3_master", "s3_volume", "s3_filer", "s3_admin")


def wanted(settings: Settings) -> dict[int, str]:
    """Each port that the embedded services listen on, and the setting that gives it.

    Raises:
        SettingsError: two settings give the same port, or one is too high for its gRPC twin.
    """
    ports = settings.ports
    pairs: list[tuple[int, str]] = []
    if not settings.s3.endpoint:
        pairs += [(getattr(ports, name), name) for name in SEAWEEDFS]
        pairs += [(getattr(ports, name) + GRPC, name) for name in SEAWEEDFS]
    if not settings.mlflow.uri:
        pairs.append((ports.mlflow, "mlflow"))
    if not settings.airflow.url:
        pairs.append((ports.airflow, "airflow"))
    taken: dict[int, str] = {}
    for port, name in pairs:
        if port in taken:
            raise SettingsError(
                f"Port {port} is wanted twice, by ports.{taken[port]} and ports.{name} "
                f"(each ports.s3* is taken {GRPC} higher too): {_move(name)}."
            )
        taken[port] = name
    return taken


def check_free(settings: Settings) -> None:
    """All ports can be bound on 127.0.0.1.

    Raises:
        SettingsError: one is taken; says by whom and which setting moves it.
    """
    for port, name in wanted(settings).items():
        if _is_free(port):
            continue
        process = holder(port)
        who = f"process {process.pid} ({command_of(process)})" if process else "a process that this user can't see"
        why = "" if port == getattr(settings.ports, name) else f" (ports.{name} + {GRPC})"
        raise SettingsError(f"Port {port}{why} is taken by {who}: end that process, or {_move(name)}.")


def free_ports(count: int) -> list[int]:
    """Distinct free ports whose gRPC twins are free too: for tests and benchmarks beside a running installation."""
    # below the range that systems give to outgoing connections, the twins too; each process begins elsewhere
    span = range(20100, 22700)
    begin = os.getpid() * 37 % len(span)
    rotated = (span[(begin + step) % len(span)] for step in range(len(span)))
    return list(islice((port for port in rotated if _is_free(port) and _is_free(port + GRPC)), count))


def _move(name: str) -> str:
    return f"set ports.{name} to another port (MARQUEE_PORTS__{name.upper()}=..., or [ports] in marquee.toml)"


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # as servers do: a port whose last connections are still closing is free
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
