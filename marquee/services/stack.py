"""The embedded services as one: up, down, status.

honcho runs them from the Procfile; when one ends, it ends the others. So an installation is either whole or down, and
`up` makes it whole from any state: leftovers of a crash are ended first, found by the mark in their environment.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from marquee.credentials import Credentials, credentials
from marquee.errors import LakeError, ServiceError
from marquee.services import health, ports, state
from marquee.services.environment import environment, own
from marquee.services.processes import GONE, end, marked, name_of, start_detached
from marquee.settings import PROJECT, Settings

START_SECONDS = 300.0
HONCHO_SECONDS = 15.0  # honcho itself kills what has not ended after 5
ORPHAN_SECONDS = 5.0
PAUSE_SECONDS = 0.25

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Service:
    """One service as a person sees it: its address, who runs it, and what is the matter (empty: nothing)."""

    name: str
    url: str
    is_embedded: bool
    problem: str
    processes: int
    resident_mb: float

    @property
    def is_healthy(self) -> bool:
        return not self.problem


@dataclass(frozen=True)
class About:
    """The running honcho: its process, when that began (seconds since 1970), and what it was started with."""

    pid: int
    started: float
    fingerprint: str


def up(settings: Settings, progress: Progress = lambda _: None) -> None:
    """Every embedded service runs and answers; where that is so already, nothing is touched.

    Raises:
        SettingsError: a port is taken, or the credentials can't be used.
        ServiceError: a service ends, does not answer in time, or refuses the login.
        LakeError: the buckets can't be made.
    """
    secret = credentials(settings)
    with _lock(settings):
        names = _embedded(settings)
        if names and not _is_whole(settings, names):
            _clear(settings, progress)
            ports.check_free(settings)
            state.prepare(settings, secret)
            _start(settings, names, progress)
        _wait(settings, secret, progress)


def down(settings: Settings, progress: Progress = lambda _: None) -> int:
    """No process of this installation is left; returns how many there were.

    Raises:
        ServiceError: one does not end.
    """
    with _lock(settings):
        count = len(marked(settings.var))
        _clear(settings, progress)
        state.remove_sockets(settings)
        _record(settings).unlink(missing_ok=True)
    return count


def status(settings: Settings) -> list[Service]:
    """Each service, asked now."""
    secret = credentials(settings)
    running = marked(settings.var)
    by_name: dict[str, list[psutil.Process]] = {}
    for process in running:
        by_name.setdefault(name_of(process).partition("-")[0], []).append(process)
    return [
        Service(
            name=name,
            url=url,
            is_embedded=is_embedded,
            problem=_ask(name, settings, secret),
            processes=len(by_name.get(name, [])),
            resident_mb=sum(_resident(process) for process in by_name.get(name, [])) / 1e6,
        )
        for name, url, is_embedded in (
            ("s3", settings.s3_endpoint, not settings.s3.endpoint),
            ("mlflow", settings.mlflow_uri, not settings.mlflow.uri),
            ("airflow", settings.airflow_url, not settings.airflow.url),
        )
    ]


def _start(settings: Settings, names: list[str], progress: Progress) -> None:
    variables = environment(settings)
    if any(name.startswith("airflow") for name in names) and not state.is_migrated(settings):
        progress("making Airflow's database")
        state.migrate(settings, variables)
    progress(f"starting {', '.join(names)}")
    log = settings.var.resolve() / "logs" / "services.log"
    # no .env file: what a person keeps in one for something else is none of ours
    command = [
        sys.executable,
        "-m",
        "honcho",
        "-e",
        "",
        "-f",
        str(PROJECT / "Procfile"),
        "--no-colour",
        "start",
        *names,
    ]
    honcho = start_detached(command, folder=PROJECT, environment=variables, log=log)
    about = About(honcho.pid, honcho.create_time(), _fingerprint(settings))
    _record(settings).write_text(json.dumps(asdict(about)), encoding="utf-8")


def _wait(settings: Settings, secret: Credentials, progress: Progress) -> None:
    """Until all answer. Buckets are made as soon as the S3 server does, for MLflow and the tasks need them."""
    waiting = {"s3": "not asked yet", "mlflow": "not asked yet", "airflow": "not asked yet"}
    end_at = time.monotonic() + START_SECONDS
    while True:
        for name in list(waiting):
            waiting[name] = _ask(name, settings, secret, may_create=True)
            if not waiting[name]:
                del waiting[name]
                progress(f"{name} answers")
        if not waiting:
            return
        if _embedded(settings) and not _runs_honcho(settings):
            raise ServiceError(_why_ended(settings))
        if time.monotonic() > end_at:
            what = "; ".join(f"{name}: {problem}" for name, problem in waiting.items())
            raise ServiceError(
                f"After {START_SECONDS:.0f} s there is no answer yet ({what}): read {_log(settings)}, "
                "then try `marquee down` and `marquee up`."
            )
        time.sleep(PAUSE_SECONDS)


def _ask(name: str, settings: Settings, secret: Credentials, *, may_create: bool = False) -> str:
    """What is the matter with a service; empty: nothing.

    Raises:
        ServiceError: it refuses the login and `may_create`, that is, somebody waits for it.
    """
    try:
        if name == "s3":
            problem = health.s3(settings, secret)
            if problem.startswith("bucket ") and may_create:
                with contextlib.suppress(LakeError):  # it still starts: asked again
                    health.create_buckets(settings, secret)
                problem = health.s3(settings, secret)
            return problem
        if name == "mlflow":
            return health.mlflow(settings, secret)
        return health.airflow(settings, _started(settings) if not settings.airflow.url else 0.0)
    except health.LoginError as error:
        if may_create:
            raise ServiceError(str(error)) from None
        return str(error)


def _embedded(settings: Settings) -> list[str]:
    """Lines of the Procfile to run."""
    names = [] if settings.s3.endpoint else ["s3"]
    names += [] if settings.mlflow.uri else ["mlflow"]
    return names + (
        [] if settings.airflow.url else ["airflow-api", "airflow-scheduler", "airflow-dags", "airflow-triggerer"]
    )


def _is_whole(settings: Settings, names: list[str]) -> bool:
    """Whether all services of the last `up` live (healthy or still starting), started with these very settings."""
    about = _about(settings)
    if not about or about.fingerprint != _fingerprint(settings) or not _runs_honcho(settings):
        return False
    return set(names) <= {name_of(process) for process in marked(settings.var)}


def _runs_honcho(settings: Settings) -> bool:
    about = _about(settings)
    if not about:
        return False
    try:
        honcho = psutil.Process(about.pid)
        is_same = abs(honcho.create_time() - about.started) < 1  # no other process that got its number since
        return bool(is_same and honcho.status() != psutil.STATUS_ZOMBIE)
    except GONE:
        return False


def _clear(settings: Settings, progress: Progress) -> None:
    """End everything of this installation: honcho first, which ends its own; then what a crash left."""
    running = marked(settings.var)
    if not running:
        return
    progress(f"ending {len(running)} processes")
    about = _about(settings)
    honcho = [process for process in running if about and process.pid == about.pid]
    stubborn = end(honcho, grace=HONCHO_SECONDS) + end(marked(settings.var), grace=ORPHAN_SECONDS)
    left = [process.pid for process in marked(settings.var)] + [process.pid for process in stubborn]
    if left:
        raise ServiceError(f"Processes {', '.join(map(str, left))} do not end: end them by hand, then try again.")


def _fingerprint(settings: Settings) -> str:
    """Changes with every variable and every line of the Procfile: then the services are started anew."""
    text = json.dumps(own(settings), sort_keys=True) + (PROJECT / "Procfile").read_text(encoding="utf-8")
    return hashlib.sha256(text.encode()).hexdigest()


def _why_ended(settings: Settings) -> str:
    """The service that ended first, as honcho's log has it, and its last line."""
    lines = _log(settings).read_text(encoding="utf-8", errors="replace").splitlines()[-2000:]
    begin = max((i for i, line in enumerate(lines) if " started (pid=" in line), default=0)
    stopped = next((line for line in lines[begin:] if " stopped (rc=" in line), "")
    name = stopped.partition("| ")[2].partition(" stopped")[0].removesuffix(".1")
    said = [line.partition("| ")[2] for line in lines[begin:] if f" {name}.1 " in line.partition("| ")[0]]
    last = f" ({said[-1].strip()})" if said else ""
    return f"Service {name or 'honcho'} ended while starting{last}: read {_log(settings)}."


def _record(settings: Settings) -> Path:
    return settings.var.resolve() / "services.json"


def _log(settings: Settings) -> Path:
    return settings.var.resolve() / "logs" / "services.log"


def _about(settings: Settings) -> About | None:
    """What the last `up` left about itself; None where there is nothing that can be read."""
    try:
        return About(**json.loads(_record(settings).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _started(settings: Settings) -> float:
    about = _about(settings)
    return about.started if about else 0.0


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except GONE:
        return 0


@contextlib.contextmanager
def _lock(settings: Settings) -> Iterator[None]:
    """One `up` or `down` at a time; a second one waits for the first."""
    settings.var.mkdir(parents=True, exist_ok=True)
    with (settings.var / "services.lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
