"""A lake of a benchmark's own: SeaweedFS as the Procfile starts it, with all state in a scratch folder."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from sys import executable

from marquee.credentials import credentials
from marquee.errors import ServiceError
from marquee.lake.objects import Lake
from marquee.services import health, state
from marquee.services.environment import environment
from marquee.services.ports import free_ports
from marquee.services.processes import end, marked, start_detached
from marquee.settings import PROJECT, Ports, Settings

START_SECONDS = 60.0
GRACE_SECONDS = 10.0
# Set on some machines to steer OpenBLAS; Marquee's services know nothing of them.
FOREIGN = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")


@dataclass(frozen=True)
class Scratch:
    """A lake that runs, its settings, and the environment by which the tasks of an installation would see it."""

    settings: Settings
    lake: Lake
    environment: dict[str, str]


@contextlib.contextmanager
def scratch_lake(folder: Path) -> Iterator[Scratch]:
    """Run the S3 server of an installation on free ports; all of it is gone afterwards, but for the folder.

    Raises:
        ServiceError: it does not answer in time.
    """
    names = list(Ports.model_fields)
    ports = Ports(**dict(zip(names, free_ports(len(names)), strict=True)))
    settings = Settings(var=folder / "var", cache=folder / "cache", ports=ports)
    secret = credentials(settings)
    state.prepare(settings, secret)
    variables = {name: value for name, value in environment(settings).items() if name not in FOREIGN}
    log = settings.var / "logs" / "services.log"
    honcho = [executable, "-m", "honcho", "-e", "", "-f", str(PROJECT / "Procfile"), "--no-colour", "start", "s3"]
    try:
        start_detached(honcho, folder=PROJECT, environment=variables, log=log)
        end_at = time.monotonic() + START_SECONDS
        while problem := health.s3(settings, secret):
            if problem.startswith("bucket "):
                health.create_buckets(settings, secret)
            elif time.monotonic() > end_at:
                raise ServiceError(f"The S3 server of the benchmark does not answer ({problem}): read {log}.")
            time.sleep(0.1)
        yield Scratch(settings, health.lake(settings, secret), variables)
    finally:
        end(marked(settings.var), grace=GRACE_SECONDS)
        state.remove_sockets(settings)
