"""`kill -9` in the middle of an ingest, again and again: the tables end up as if nothing had happened."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from marquee.java import java_home
from marquee.lake import tables
from marquee.lake.objects import Lake
from marquee.lake.raw import stage
from marquee.sources import locate, recognise

SEED = 4
KILLS = 10
PROJECT = Path(__file__).resolve().parent.parent.parent
RECEIVED_AT = "2020-01-01T00:00:00+00:00"


def write_batch(folder: Path, number: int, random_: random.Random) -> Path:
    """A batch that shares users, items and pairs with the others, and holds bad rows and repeated ones."""
    lines = ["userId,movieId,rating,timestamp"]
    for _ in range(300):
        stars, when = random_.randint(1, 10) / 2, 1_000_000_000 + random_.randint(0, 50)
        lines.append(f"u{random_.randint(1, 40)},{random_.randint(1, 15 + number)},{stars},{when}")
    lines += ["u1,1,bad,1", "u1,,3.0,1", f"u{number},1"]
    folder.mkdir()
    (folder / "ratings.csv").write_text("\n".join(lines) + "\n")
    titles = "".join(f"{item},Title {item} as of {number},Drama\n" for item in range(1, 10 + number))
    (folder / "movies.csv").write_text("movieId,title,genres\n" + titles)
    return folder


def content(lake: Lake) -> dict[str, Any]:
    """All rows of the current version of every table, and the batches that it holds."""
    found: dict[str, Any] = {}
    for table in ("ratings", "items", "quarantine"):
        version = tables.current_version(lake, table)
        assert version is not None
        rows = [row for batch in tables.read_table(lake, table, version) for row in batch.to_pylist()]
        found[table] = sorted(rows, key=str)
        found[f"batches of {table}"] = tables.batches(lake, table, version)
    return found


@contextmanager
def ingesting(lake: Lake, folder: Path, *batches: str) -> Iterator[subprocess.Popen[str]]:
    """The ingest as a process; it and all that it has started are gone afterwards."""
    options = f"--master local[2] --driver-memory 1g --conf spark.ui.enabled=false --conf spark.local.dir={folder}"
    variables = {
        **os.environ,
        **lake.environment(),
        "JAVA_HOME": str(java_home(folder)),
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYTHONPATH": str(PROJECT),
        "PYSPARK_SUBMIT_ARGS": f"{options} pyspark-shell",
    }
    command = [sys.executable, "-m", "tests.spark_jobs.whole_ingest", *batches]
    with (folder / "ingest.log").open("a") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=variables, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True
        )
    try:
        yield process
    finally:
        kill(process)
        process.communicate()


def kill(process: subprocess.Popen[str]) -> None:
    """SIGKILL for the process, its JVM and the Python workers, which have a process group of their own."""
    with suppress(psutil.NoSuchProcess):
        tree = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        for each in tree:
            with suppress(psutil.NoSuchProcess):
                each.send_signal(signal.SIGKILL)


def wait_for(process: subprocess.Popen[str], words: str) -> float:
    """Seconds until the process has said these words."""
    begin = time.monotonic()
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(words):
            return time.monotonic() - begin
    raise AssertionError(f"it ended with exit code {process.wait()} before it said {words!r}")


@pytest.mark.slow
def test_killed_at_random_moments(fresh_lake: Lake, tmp_path: Path) -> None:
    random_ = random.Random(SEED)
    calm, killed = fresh_lake, replace(fresh_lake, bucket=f"{fresh_lake.bucket}-killed")
    killed.create_bucket(killed.bucket)
    batches: list[str] = []
    for number in range(KILLS):
        source = write_batch(tmp_path / f"batch-{number}", number, random_)
        for lake in (calm, killed):
            manifest = stage(lake, recognise(locate(str(source), tmp_path / "cache")), RECEIVED_AT)
        batches.append(f"{manifest.batch}:{'replace' if number == KILLS // 2 else 'append'}")

    with ingesting(calm, tmp_path, *batches) as process:
        wait_for(process, "ready")
        seconds = [wait_for(process, "done") for _ in batches]

    n_killed = 0
    for at, batch in enumerate(batches):
        # Each process first ends what the last one was killed in.
        with ingesting(killed, tmp_path, *batches[max(at - 1, 0) : at], batch) as process:
            wait_for(process, "done" if at else "ready")
            time.sleep(random_.uniform(0, seconds[at]))
            n_killed += process.poll() is None
    with ingesting(killed, tmp_path, batches[-1]) as process:
        wait_for(process, "done")
    assert n_killed >= KILLS / 2
    assert content(killed) == content(calm)
