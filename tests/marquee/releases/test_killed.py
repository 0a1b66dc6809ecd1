"""Readers through publishes and rollbacks whose process is killed at random moments."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from threading import Timer
from typing import IO, Any

import pytest

from marquee import registry, releases
from marquee.lake.objects import Lake
from marquee.releases import ledger
from marquee.releases.standing import standing
from marquee.settings import PROJECT

N_READERS, N_PUBLISHES, N_ROLLBACKS = 8, 50, 10
SEED = 7
#: Seconds within which an action is killed; one on an idle machine takes about as long.
KILLED_WITHIN = 1.5

READER = """
import json, sys, time, duckdb
from pathlib import Path
link, stop = Path(sys.argv[1]), Path(sys.argv[2])
told = {"opens": 0, "errors": [], "mixed": 0, "seen": []}
print("ready", flush=True)
while not stop.exists():
    try:
        with duckdb.connect(str(link), read_only=True) as reader:
            found = reader.execute(
                "SELECT release_id, count(*) FROM recommendations GROUP BY ALL "
                "UNION ALL SELECT release_id, count(*) FROM items GROUP BY ALL "
                "UNION ALL SELECT release_id, count(*) FROM release GROUP BY ALL"
            ).fetchall()
    except Exception as error:
        told["errors"].append(repr(error))
        continue
    told["opens"] += 1
    release = found[0][0]
    told["mixed"] += sorted(found) != sorted([(release, 12), (release, 12), (release, 1)])
    if release not in told["seen"]:
        told["seen"].append(release)
    time.sleep(0.2)
print(json.dumps(told))
"""


def orders(draw: random.Random) -> list[dict[str, Any]]:
    """Publishes in order, and rollbacks among them, none of them first or last."""
    at = set(draw.sample(range(3, N_PUBLISHES), N_ROLLBACKS))
    found: list[dict[str, Any]] = []
    for number in range(N_PUBLISHES):
        if number in at:
            found.append({"act": "rollback", "action": f"rollback before {number}"})
        version = str(1 + number % 4)
        found.append({"act": "publish", "release": f"r{number:02d}", "version": version, "shift": number % 2})
    return found


class Publisher:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None and process.stdout is not None
        self._in: IO[str] = process.stdin
        self._out: IO[str] = process.stdout

    def act(self, order: dict[str, Any], kill_after: float | None) -> bool:
        """Whether it got to its end; else it was killed."""
        self._in.write(json.dumps(order) + "\n")
        self._in.flush()
        child = int(self._out.readline())
        timer = None if kill_after is None else Timer(kill_after, _kill, (child,))
        if timer:
            timer.start()
        ended = int(self._out.readline())
        if timer:
            timer.cancel()
            timer.join()
        assert ended in ((0,) if kill_after is None else (0, -signal.SIGKILL)), order
        return ended == 0


def _kill(child: int) -> None:
    try:
        os.kill(child, signal.SIGKILL)
    except ProcessLookupError:
        return  # it was faster


@pytest.mark.slow
def test_readers_meet_whole_releases_only_and_alias_and_tables_agree(
    fresh_lake: Lake, tmp_path: Path, model: str
) -> None:
    draw = random.Random(SEED)
    folder, stop = tmp_path / "serving", tmp_path / "stop"
    environment = {**os.environ, **fresh_lake.environment(), "PYTHONPATH": str(PROJECT)}
    command = [sys.executable, "-m", "tests.marquee.releases.publisher", str(folder), model]
    n_killed = 0
    with subprocess.Popen(
        command, env=environment, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        publisher = Publisher(process)
        first, *others = orders(draw)
        assert publisher.act(first, None)
        looking = [sys.executable, "-c", READER, str(folder / releases.LINK), str(stop)]
        readers = [subprocess.Popen(looking, stdout=subprocess.PIPE, text=True) for _ in range(N_READERS)]
        try:
            for reader in readers:
                assert reader.stdout is not None and reader.stdout.readline() == "ready\n"
            for order in others:
                is_last = order is others[-1]
                while not publisher.act(
                    order, None if is_last or draw.random() < 0.4 else draw.uniform(0, KILLED_WITHIN)
                ):
                    n_killed += 1
                    if draw.random() < 0.5:
                        break  # nobody tries this one again: the next action finds what it left
        finally:
            stop.touch()
            told = [json.loads(reader.communicate(timeout=60)[0]) for reader in readers]
            publisher._in.close()
    assert [(one["errors"], one["mixed"]) for one in told] == [([], 0)] * N_READERS
    assert sum(one["opens"] for one in told) > N_PUBLISHES and all(len(one["seen"]) > 10 for one in told)
    assert n_killed >= 10
    state = standing(ledger.read(fresh_lake))
    assert state.newest is not None and state.current == "r49"
    assert releases.current(folder) == state.current
    assert registry.champion(model) == state.newest["model_version"] == "2"
    kept = {path.stem for path in (folder / "releases").glob("r*.duckdb")}
    assert set(state.published) <= kept and not kept & state.removed
    with releases.connect(folder) as reader_at_the_end:
        assert reader_at_the_end.execute("SELECT DISTINCT release_id FROM recommendations").fetchall() == [("r49",)]
    fences = [row["fence"] for row in ledger.read(fresh_lake)]
    assert fences == sorted(fences)
