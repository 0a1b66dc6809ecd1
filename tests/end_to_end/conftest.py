"""The real services on free ports, with all state in a folder of their own and no Java in sight, for all these tests.

What is changed for speed is one line of one DAG: training compares one small model with the floor, so that the chain
from ingest to release by assets is the real one.
"""

from __future__ import annotations

import csv
import io
import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from marquee import services
from marquee.airflow_client import AirflowClient, Run
from marquee.credentials import Credentials, credentials
from marquee.lake.objects import Lake
from marquee.services import health
from marquee.services.environment import environment
from marquee.services.ports import free_ports
from marquee.services.processes import marked
from marquee.settings import PROJECT, Ports, Settings

DAGS = ("ingest_ratings", "train_recommender", "publish_recommendations")


@dataclass(frozen=True)
class Installation:
    """An installation of Marquee of its own, and the shell that a person has at it."""

    settings: Settings
    shell: dict[str, str]

    def marquee(self, *words: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        """The command `marquee`, as a person types it, and what it then asks for."""
        return subprocess.run(
            [sys.executable, "-m", "marquee.cli", *words],
            input=typed,
            env=self.shell,
            cwd=self.settings.var.parent,
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def secrets(self) -> Credentials:
        return credentials(self.settings)

    @property
    def lake(self) -> Lake:
        return health.lake(self.settings, self.secrets)

    @property
    def variables(self) -> dict[str, str]:
        """The environment that the services and tasks have."""
        return environment(self.settings, self.shell)

    def client(self) -> AirflowClient:
        return AirflowClient.of(self.settings)


@dataclass
class CommandLines:
    """Every command line that was seen on this machine while the services ran."""

    seen: set[str] = field(default_factory=set)
    is_over: threading.Event = field(default_factory=threading.Event)

    def watch(self) -> None:
        while not self.is_over.wait(0.5):
            for process in psutil.process_iter():
                with suppress(psutil.Error, OSError):
                    self.seen.add("\0".join(process.cmdline()))


@dataclass(frozen=True)
class Pipeline:
    """The first ingest and what it set off: the command's own output, and the three runs in their order."""

    source: Path
    printed: str
    runs: dict[str, Run]


@dataclass(frozen=True)
class RawRating:
    user_id: str
    item_id: str
    timestamp: int


@dataclass(frozen=True)
class Raw:
    """The raw file, read with Python's own csv and zipfile alone."""

    ratings: list[RawRating]
    titles: dict[str, str]


@pytest.fixture(scope="session")
def command_lines() -> Iterator[CommandLines]:
    lines = CommandLines()
    thread = threading.Thread(target=lines.watch, daemon=True)
    thread.start()
    yield lines
    lines.is_over.set()
    thread.join()


@pytest.fixture(scope="session")
def installation(
    shared_data: Path, tmp_path_factory: pytest.TempPathFactory, command_lines: CommandLines
) -> Iterator[Installation]:
    with installed(tmp_path_factory.mktemp("marquee")) as made:
        yield made


@pytest.fixture(scope="module")
def own_installation(tmp_path_factory: pytest.TempPathFactory, command_lines: CommandLines) -> Iterator[Installation]:
    """An installation that the tests of one file have for themselves."""
    with installed(tmp_path_factory.mktemp("own")) as made:
        yield made


@contextmanager
def installed(folder: Path, ranks: Sequence[int] = (8,)) -> Iterator[Installation]:
    """Services of their own, with all state in the folder, from their start to their end.

    Args:
        ranks: what training compares with the floor by default.
    """
    names = list(Ports.model_fields)
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    settings = Settings(
        var=folder / "var",
        cache=folder / "cache",
        sources=folder / "sources",
        dags=small_dags(folder / "dags", ranks),
        ports=Ports(**ports),
    )
    shell = {name: value for name, value in os.environ.items() if not name.startswith(("MARQUEE", "JAVA"))}
    shell |= {f"MARQUEE_PORTS__{name.upper()}": str(port) for name, port in ports.items()}
    shell |= {"MARQUEE_VAR": str(settings.var), "MARQUEE_CACHE": str(settings.cache)}
    shell |= {"MARQUEE_SOURCES": str(settings.sources), "MARQUEE_DAGS": str(settings.dags)}
    shell |= {"PATH": path_without_java(folder / "bin"), "COLUMNS": "200"}
    made = Installation(settings, shell)
    try:
        started = made.marquee("up")
        assert started.returncode == 0, started.stdout + started.stderr
        yield made
    finally:
        services.down(settings)
        assert marked(settings.var) == []


@pytest.fixture(scope="session")
def pipeline(installation: Installation, shared_data: Path) -> Pipeline:
    """Ingest by the command; training and publishing follow by their assets."""
    source = shared_data / "ml-latest-small" / "ml-latest-small.zip"
    if not source.exists():
        pytest.skip(f"MovieLens latest-small is not at {source}")
    done = installation.marquee("ingest", str(source))
    assert done.returncode == 0, done.stdout + done.stderr
    with installation.client() as client:
        newest = {dag: client.last_run(dag) for dag in DAGS}
        runs = {dag: client.follow(dag, run[0]) for dag, run in newest.items() if run}
    return Pipeline(source, done.stdout, runs)


@pytest.fixture(scope="session")
def raw(pipeline: Pipeline) -> Raw:
    with zipfile.ZipFile(pipeline.source) as archive:

        def rows(name: str) -> Iterator[dict[str, Any]]:
            with archive.open(f"ml-latest-small/{name}") as file:
                yield from csv.DictReader(io.TextIOWrapper(file, encoding="utf-8", newline=""))

        return Raw(
            ratings=[RawRating(row["userId"], row["movieId"], int(row["timestamp"])) for row in rows("ratings.csv")],
            titles={row["movieId"]: row["title"] for row in rows("movies.csv")},
        )


@pytest.fixture
def in_mlflow(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow's client in this process finds the installation's server."""
    for name, value in installation.variables.items():
        if name.startswith("MLFLOW_TRACKING"):
            monkeypatch.setenv(name, value)


def small_dags(folder: Path, ranks: Sequence[int]) -> Path:
    """The DAG files as they are, but for the ranks that training compares by default."""
    folder.mkdir()
    for file in (PROJECT / "dags").glob("*.py"):
        text = file.read_text(encoding="utf-8")
        if file.stem == "train_recommender":
            assert text.count("params=TRAIN_FORM,") == 1
            text = text.replace("params=TRAIN_FORM,", f'params=TRAIN_FORM | {{"ranks": {list(ranks)}}},')
        (folder / file.name).write_text(text, encoding="utf-8")
    return folder


def path_without_java(folder: Path) -> str:
    """The PATH without any `java`: a folder that has one is replaced by links to its other programs."""
    kept = []
    for at, name in enumerate(os.environ["PATH"].split(os.pathsep)):
        if not (Path(name) / "java").exists():
            kept.append(name)
            continue
        others = folder / str(at)
        others.mkdir(parents=True)
        for program in Path(name).iterdir():
            if not program.name.startswith("java"):
                (others / program.name).symlink_to(program)
        kept.append(str(others))
    return os.pathsep.join(kept)
